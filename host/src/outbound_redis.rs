//! `spin:redis`: a connection of its own for every `open`, shared by concurrent calls.

mod convert;

use std::fmt::Display;

use opentelemetry::KeyValue;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, RedisError};
use wasmtime::component::{Accessor, HasSelf, Resource};

use self::convert::Results;
use crate::bindings::spin::redis::redis::{
    Error, Host, HostConnection, HostConnectionWithStore, Payload, RedisParameter, RedisResult,
};
use crate::state::State;
use crate::telemetry::Call;

/// The most that a reply may take in memory, as in Spin.
const MAX_REPLY_BYTES: usize = 128 << 20;

/// A guest's connection.
pub struct Connection(MultiplexedConnection);

impl Host for State {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<Error> {
        Ok(error)
    }
}

impl HostConnection for State {
    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

type Guest<T> = Accessor<T, HasSelf<State>>;

/// Takes the connection out for a call, and begins the call's span.
fn begin<T, F>(
    guest: &Guest<T>,
    connection: &Resource<Connection>,
    describe: F,
) -> Result<(MultiplexedConnection, Call), Error>
where
    F: FnOnce() -> (String, Vec<KeyValue>),
{
    guest.with(|mut access| {
        let state = access.get();
        let call = state.scope.call(|| {
            let (name, mut attributes) = describe();
            attributes.push(KeyValue::new("db.system", "redis"));
            (name, attributes)
        });
        let connection = state.table.get(connection).map_err(other)?;
        Ok((connection.0.clone(), call))
    })
}

/// Finishes a call: notes a failure in its span.
fn finish<R>(call: &Call, result: Result<R, Error>) -> Result<R, Error> {
    result.inspect_err(|error| call.fail(error))
}

fn attribute(key: &'static str, value: impl Into<opentelemetry::Value>) -> KeyValue {
    KeyValue::new(key, value)
}

impl HostConnectionWithStore for HasSelf<State> {
    async fn open<T: Send>(
        guest: &Guest<T>,
        address: String,
    ) -> Result<Resource<Connection>, Error> {
        let (allowed, call) = guest.with(|mut access| {
            let state = access.get();
            let call = state.scope.call(|| {
                let system = KeyValue::new("db.system", "redis");
                (
                    "spin_outbound_redis.open_connection".to_owned(),
                    vec![system],
                )
            });
            (state.app.allowed_hosts.allows(&address, "redis"), call)
        });
        let opened = if allowed {
            connect(&address).await
        } else {
            Err(Error::InvalidAddress)
        };
        let connection = finish(&call, opened)?;
        guest.with(|mut access| {
            access
                .get()
                .table
                .push(Connection(connection))
                .map_err(|_| Error::TooManyConnections)
        })
    }

    async fn publish<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        channel: String,
        payload: Payload,
    ) -> Result<(), Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            (
                format!("PUBLISH {channel}"),
                vec![attribute("channel", channel.clone())],
            )
        })?;
        finish(
            &call,
            redis.publish(&channel, &payload).await.map_err(other),
        )
    }

    async fn get<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
    ) -> Result<Option<Payload>, Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            (format!("GET {key}"), vec![attribute("key", key.clone())])
        })?;
        let value: Result<Option<Payload>, _> = redis.get(&key).await.map_err(other);
        finish(
            &call,
            value.and_then(|value| {
                limit(value.as_ref().map_or(0, Vec::len))?;
                Ok(value)
            }),
        )
    }

    async fn set<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
        value: Payload,
    ) -> Result<(), Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            (format!("SET {key}"), vec![attribute("key", key.clone())])
        })?;
        finish(&call, redis.set(&key, &value).await.map_err(other))
    }

    async fn incr<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
    ) -> Result<i64, Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            (
                format!("INCRBY {key} 1"),
                vec![attribute("key", key.clone())],
            )
        })?;
        finish(&call, redis.incr(&key, 1).await.map_err(other))
    }

    async fn del<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        keys: Vec<String>,
    ) -> Result<u32, Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            (
                format!("DEL {}", keys.join(" ")),
                vec![attribute("keys", format!("{keys:?}"))],
            )
        })?;
        finish(&call, redis.del(&keys).await.map_err(other))
    }

    async fn sadd<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            (
                format!("SADD {key} {}", values.join(" ")),
                vec![attribute("key", key.clone())],
            )
        })?;
        finish(&call, redis.sadd(&key, &values).await.map_err(type_error))
    }

    async fn smembers<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
    ) -> Result<Vec<String>, Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            (
                format!("SMEMBERS {key}"),
                vec![attribute("key", key.clone())],
            )
        })?;
        finish(&call, redis.smembers(&key).await.map_err(other))
    }

    async fn srem<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            (
                format!("SREM {key} {}", values.join(" ")),
                vec![attribute("key", key.clone())],
            )
        })?;
        finish(&call, redis.srem(&key, &values).await.map_err(other))
    }

    async fn execute<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Result<Vec<RedisResult>, Error> {
        let (mut redis, call) = begin(guest, &connection, || {
            let arguments = attribute("arguments", format!("{arguments:?}"));
            (
                command.clone(),
                vec![attribute("command", command.clone()), arguments],
            )
        })?;
        let mut request = redis::cmd(&command);
        for argument in arguments {
            match argument {
                RedisParameter::Int64(value) => request.arg(value),
                RedisParameter::Binary(value) => request.arg(value),
            };
        }
        let results: Result<Results, _> = request.query_async(&mut redis).await.map_err(other);
        finish(
            &call,
            results.and_then(|results| {
                limit(results.size())?;
                Ok(results.0)
            }),
        )
    }
}

async fn connect(address: &str) -> Result<MultiplexedConnection, Error> {
    let client = redis::Client::open(address).map_err(|_| Error::InvalidAddress)?;
    client
        .get_multiplexed_async_connection()
        .await
        .map_err(other)
}

fn limit(bytes: usize) -> Result<(), Error> {
    if bytes > MAX_REPLY_BYTES {
        return Err(Error::Other(format!(
            "query result exceeds limit of {MAX_REPLY_BYTES} bytes"
        )));
    }
    Ok(())
}

fn other(error: impl Display) -> Error {
    Error::Other(error.to_string())
}

fn type_error(error: RedisError) -> Error {
    match error.kind() {
        redis::ErrorKind::TypeError => Error::TypeError,
        _ => other(error),
    }
}
