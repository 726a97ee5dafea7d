//! Orders in Redis, each with its version, so that a write never loses to an older one.
//!
//! An entry is `<version> <order as JSON>`. Without Redis the service is slower, not wrong.

use core::time::Duration;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::context::Context;
use crate::domain::order::OrderJson;
use crate::platform::redis::{Argument, RedisFailure, Value, execute};
use crate::platform::{spawn, time};
use crate::telemetry::{log, metrics};

/// How long Redis has to answer; Postgres would have answered by then.
const LIMIT: Duration = Duration::from_millis(250);

/// Sets the entry unless a newer one is there. Redis runs a script as one step.
const SET_UNLESS_OLDER: &str = "
local old = redis.call('get', KEYS[1])
if old and tonumber(string.match(old, '^%d+')) > tonumber(ARGV[1]) then return 0 end
redis.call('set', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'px', ARGV[3])
return 1";

/// The order if it is cached; also `None` when Redis does not answer.
pub async fn get(context: &Context, id: Uuid) -> Option<OrderJson> {
    let arguments = vec![Argument::Text(key(context, id))];
    let values = match execute(&context.config.redis_url, "GET", arguments, LIMIT).await {
        Ok(values) => values,
        Err(error) => {
            metrics::cache_asked("error");
            tell(context, &error);
            return None;
        }
    };
    let Some(Value::Binary(entry)) = values.into_iter().next() else {
        metrics::cache_asked("miss");
        return None;
    };
    metrics::cache_asked("hit");
    let entry = String::from_utf8(entry).ok()?;
    let (version, json) = entry.split_once(' ')?;
    Some(OrderJson {
        id,
        version: version.parse().ok()?,
        json: RawValue::from_string(json.to_owned()).ok()?,
    })
}

/// Fills the cache after the response.
pub fn fill_later(context: &Context, order: OrderJson) {
    let context = context.clone();
    spawn(async move {
        if let Err(error) = set(&context, &order).await {
            tell(&context, &error);
        }
    });
}

/// Writes a changed order before the response, so that the client reads its own write. If
/// Redis does not answer, the entry is put right as soon as it does.
pub async fn write_through(context: &Context, order: &OrderJson) {
    if let Err(error) = set(context, order).await {
        tell(context, &error);
        let (context, order) = (context.clone(), order.clone());
        spawn(async move { repair(&context, &order).await });
    }
}

/// Tries again until the old entry would have expired anyway.
async fn repair(context: &Context, order: &OrderJson) {
    let end = time::Deadline::after(context.config.order_cache_ttl);
    let mut wait = Duration::from_millis(100);
    while !end.left().is_zero() {
        time::sleep(wait).await;
        if set(context, order).await.is_ok() {
            return;
        }
        wait = wait.saturating_mul(2).min(Duration::from_secs(1));
    }
}

/// Whether Redis answers.
pub async fn ping(context: &Context) -> bool {
    let result = execute(&context.config.redis_url, "PING", Vec::new(), LIMIT).await;
    result.is_ok()
}

async fn set(context: &Context, order: &OrderJson) -> Result<(), RedisFailure> {
    let ttl = context.config.order_cache_ttl.as_millis();
    let arguments = vec![
        Argument::Text(SET_UNLESS_OLDER.into()),
        Argument::Number(1),
        Argument::Text(key(context, order.id)),
        Argument::Number(order.version.into()),
        Argument::Text(order.json.get().to_owned()),
        Argument::Number(i64::try_from(ttl).unwrap_or(i64::MAX)),
    ];
    execute(&context.config.redis_url, "EVAL", arguments, LIMIT).await?;
    Ok(())
}

fn key(context: &Context, id: Uuid) -> String {
    format!("{}order:{id}", context.config.redis_key_prefix)
}

fn tell(context: &Context, error: &RedisFailure) {
    log::degradation(
        &context.config,
        "the cache does not answer",
        &error.to_string(),
    );
}
