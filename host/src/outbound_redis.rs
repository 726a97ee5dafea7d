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

/// Makes a call on a connection, in a span with this name and these attributes.
async fn call<T, R>(
    guest: &Guest<T>,
    connection: &Resource<Connection>,
    name: impl FnOnce() -> String,
    attributes: impl FnOnce() -> Vec<KeyValue>,
    work: impl AsyncFnOnce(MultiplexedConnection) -> Result<R, Error>,
) -> Result<R, Error> {
    let (redis, call) = guest.with(|mut access| {
        let state = access.get();
        let call = state.scope.call(|| {
            let mut attributes = attributes();
            attributes.push(KeyValue::new("db.system", "redis"));
            (name(), attributes)
        });
        let connection = state.table.get(connection).map_err(other)?;
        Ok((connection.0.clone(), call))
    })?;
    work(redis).await.inspect_err(|error| call.fail(error))
}

/// What the span of a call for one key says.
fn key_attributes(key: &str) -> Vec<KeyValue> {
    vec![KeyValue::new("key", key.to_owned())]
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
        let connection = opened.inspect_err(|error| call.fail(error))?;
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
        let name = || format!("PUBLISH {channel}");
        let attributes = || vec![KeyValue::new("channel", channel.clone())];
        call(guest, &connection, name, attributes, async |mut redis| {
            redis.publish(&channel, &payload).await.map_err(other)
        })
        .await
    }

    async fn get<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
    ) -> Result<Option<Payload>, Error> {
        let name = || format!("GET {key}");
        let attributes = || key_attributes(&key);
        call(guest, &connection, name, attributes, async |mut redis| {
            let value: Option<Payload> = redis.get(&key).await.map_err(other)?;
            limit(value.as_ref().map_or(0, Vec::len))?;
            Ok(value)
        })
        .await
    }

    async fn set<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
        value: Payload,
    ) -> Result<(), Error> {
        let name = || format!("SET {key}");
        let attributes = || key_attributes(&key);
        call(guest, &connection, name, attributes, async |mut redis| {
            redis.set(&key, &value).await.map_err(other)
        })
        .await
    }

    async fn incr<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
    ) -> Result<i64, Error> {
        let name = || format!("INCRBY {key} 1");
        let attributes = || key_attributes(&key);
        call(guest, &connection, name, attributes, async |mut redis| {
            redis.incr(&key, 1).await.map_err(other)
        })
        .await
    }

    async fn del<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        keys: Vec<String>,
    ) -> Result<u32, Error> {
        let name = || format!("DEL {}", keys.join(" "));
        let attributes = || vec![KeyValue::new("keys", format!("{keys:?}"))];
        call(guest, &connection, name, attributes, async |mut redis| {
            redis.del(&keys).await.map_err(other)
        })
        .await
    }

    async fn sadd<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, Error> {
        let name = || format!("SADD {key} {}", values.join(" "));
        let attributes = || key_attributes(&key);
        call(guest, &connection, name, attributes, async |mut redis| {
            redis.sadd(&key, &values).await.map_err(type_error)
        })
        .await
    }

    async fn smembers<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
    ) -> Result<Vec<String>, Error> {
        let name = || format!("SMEMBERS {key}");
        let attributes = || key_attributes(&key);
        call(guest, &connection, name, attributes, async |mut redis| {
            redis.smembers(&key).await.map_err(other)
        })
        .await
    }

    async fn srem<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, Error> {
        let name = || format!("SREM {key} {}", values.join(" "));
        let attributes = || key_attributes(&key);
        call(guest, &connection, name, attributes, async |mut redis| {
            redis.srem(&key, &values).await.map_err(other)
        })
        .await
    }

    async fn execute<T: Send>(
        guest: &Guest<T>,
        connection: Resource<Connection>,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Result<Vec<RedisResult>, Error> {
        let name = || command.clone();
        let attributes = || {
            let arguments = format!("{arguments:?}");
            vec![
                KeyValue::new("command", command.clone()),
                KeyValue::new("arguments", arguments),
            ]
        };
        call(guest, &connection, name, attributes, async |mut redis| {
            let mut request = redis::cmd(&command);
            for argument in &arguments {
                match argument {
                    RedisParameter::Int64(value) => request.arg(value),
                    RedisParameter::Binary(value) => request.arg(value),
                };
            }
            let results: Results = request.query_async(&mut redis).await.map_err(other)?;
            limit(results.size())?;
            Ok(results.0)
        })
        .await
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
