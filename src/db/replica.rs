//! Lists from a replica, under one rule: a list never shows less than what anybody has been told
//! by the answer to a write before.
//!
//! A mark in Redis stands for what has been told. Every write puts a token there before its answer
//! goes out. The first list after it asks the primary for the number of its next transaction and
//! puts that in the token's place: every write that has been told of has a lower one. A replica
//! answers only from a snapshot in which all lower numbers have ended, and says nothing otherwise.
//! One statement both looks and answers, as there may be several replicas behind one address.
//!
//! Of a replica's snapshot only the two ends are right. How far it has replayed the log is no
//! measure: that is asked after the snapshot has been taken, and may be ahead of it.
//!
//! Numbers expire, so that a write which could not reach Redis is not hidden for long.

use core::time::Duration;

use futures_util::future::join;
use uuid::Uuid;

use super::gate;
use crate::config::Config;
use crate::context::Context;
use crate::platform::postgres::{DbError, Param, Row, Until, query};
use crate::platform::redis::{Argument, Patience, RedisFailure, Value, execute, run_script};
use crate::telemetry::log;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::{REPLICA_READS, REPLICA_UNMARKED};

/// How long a number may be used; nothing that was told is hidden for longer.
const NUMBER_MAX_AGE: Duration = Duration::from_secs(5);
/// How often one list may try whether a replica that has failed answers again.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How long a replica that has failed is remembered when nobody asks for lists.
const FAILURE_MAX_AGE: Duration = Duration::from_mins(1);

/// The first letter of tokens.
const TOKEN: char = '?';

/// The mark (the first key), a token if there was none, and whether the replica has failed (the
/// second key); nothing if it has, unless this list has leave to probe (the third key).
const READ: &str = "
local failed = redis.call('exists', KEYS[2])
if failed == 1 and not redis.call('set', KEYS[3], '', 'nx', 'px', ARGV[2]) then return {} end
redis.call('set', KEYS[1], ARGV[1], 'nx')
return {redis.call('get', KEYS[1]), failed}";

/// Puts a number in the place of the token that was there before the number was asked for.
const RESOLVE: &str = "
if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('set', KEYS[1], ARGV[2], 'px', ARGV[3]) end
return 1";

const FAIL: &str = "
redis.call('set', KEYS[1], '', 'px', ARGV[1])
redis.call('set', KEYS[2], '', 'px', ARGV[2])
return 1";

/// What Redis has about the replica.
struct Mark {
    text: String,
    has_failed: bool,
}

/// To be called after a write, before its answer goes out.
pub async fn write_ends(context: &Context) {
    if context.config.database_read_url.is_none() {
        return;
    }
    let config = &context.config;
    let arguments = [key(config, "mark"), token()].map(Argument::Text);
    let result = execute(
        &config.redis_url,
        "SET",
        arguments.to_vec(),
        Patience::PATIENT,
    )
    .await;
    if let Err(error) = result {
        count(&REPLICA_UNMARKED, &[]);
        let what = "lists may lack a write for a moment";
        log::degradation(config, what, &error.to_string());
    }
}

/// The row of a list's statement, if a replica may answer it and does. The statement has one
/// aggregated row, and no `having` of its own.
pub async fn read(
    context: &Context,
    statement: &str,
    params: &[Param],
) -> Result<Option<Row>, DbError> {
    let config = &context.config;
    let Some(url) = &config.database_read_url else {
        return Ok(None);
    };
    let Some(mark) = read_mark(config).await else {
        count(&REPLICA_READS, &["skipped"]);
        return Ok(None);
    };
    let is_token = mark.text.starts_with(TOKEN);
    let number = if is_token {
        next_transaction(context).await?
    } else {
        mark.text.clone()
    };
    let mut params = params.to_vec();
    params.push(number.as_str().into());
    let statement = format!(
        "{statement} having pg_snapshot_xmin(pg_current_snapshot()) >= ${}::text::xid8",
        params.len()
    );
    let deadline = context.deadline.at_most(config.database_read_timeout);
    let resolving = async {
        if is_token {
            resolve(config, &mark.text, &number).await;
        }
    };
    let reading = query(url, statement, params, Until::Row, deadline);
    match join(reading, resolving).await.0 {
        Ok(row) => {
            if mark.has_failed {
                let arguments = vec![Argument::Text(key(config, "failed"))];
                let _ = execute(&config.redis_url, "DEL", arguments, Patience::BRIEF).await;
            }
            let result = if row.is_some() { "served" } else { "behind" };
            count(&REPLICA_READS, &[result]);
            Ok(row)
        }
        Err(error) => {
            count(&REPLICA_READS, &["failed"]);
            let what = "the replica does not answer, lists come from the primary";
            log::degradation(config, what, &error.to_string());
            let keys = [key(config, "failed"), key(config, "probe")];
            let _ = run(
                config,
                FAIL,
                keys,
                [FAILURE_MAX_AGE, PROBE_EVERY].map(Argument::millis),
            )
            .await;
            Ok(None)
        }
    }
}

/// `None` if the replica is not to be asked.
async fn read_mark(config: &Config) -> Option<Mark> {
    let keys = ["mark", "failed", "probe"].map(|name| key(config, name));
    let arguments = [Argument::Text(token()), Argument::millis(PROBE_EVERY)];
    let mut values = run(config, READ, keys, arguments).await.ok()?.into_iter();
    match (values.next(), values.next()) {
        (Some(Value::Binary(text)), Some(Value::Int64(failed))) => Some(Mark {
            text: String::from_utf8(text).ok()?,
            has_failed: failed > 0,
        }),
        _ => None,
    }
}

/// The lowest number that no transaction had which the primary has ended.
async fn next_transaction(context: &Context) -> Result<String, DbError> {
    let statement = "select pg_snapshot_xmax(pg_current_snapshot())::text";
    let row = gate::run(context, statement, Vec::new(), Until::Row).await?;
    let number = row.map_or(Ok(None), |mut row| row.take_text(0))?;
    number.ok_or_else(|| DbError::Unexpected("there is no next transaction".into()))
}

async fn resolve(config: &Config, token: &str, number: &str) {
    let arguments = [token, number].map(|text| Argument::Text(text.to_owned()));
    let [token, number] = arguments;
    let keys = [key(config, "mark")];
    let _ = run(
        config,
        RESOLVE,
        keys,
        [token, number, Argument::millis(NUMBER_MAX_AGE)],
    )
    .await;
}

async fn run<const K: usize, const A: usize>(
    config: &Config,
    script: &str,
    keys: [String; K],
    arguments: [Argument; A],
) -> Result<Vec<Value>, RedisFailure> {
    let keys = keys.map(Argument::Text).to_vec();
    let arguments = arguments.to_vec();
    run_script(&config.redis_url, script, keys, arguments, Patience::BRIEF).await
}

fn token() -> String {
    format!("{TOKEN}{}", Uuid::now_v7())
}

fn key(config: &Config, name: &str) -> String {
    config.redis_key(format_args!("replica-{name}"))
}
