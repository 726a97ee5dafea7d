//! Orders in Redis, each with its version, so that a write never loses to an older one.
//!
//! An entry is `<version> <order as JSON>`. Without Redis the service is slower, not wrong.

use core::time::Duration;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::context::Context;
use crate::domain::order::OrderJson;
use crate::platform::random::random;
use crate::platform::redis::{self, Argument, Patience, RedisFailure, Value, execute};
use crate::platform::{spawn, time};
use crate::telemetry::log;
use crate::telemetry::metrics::events;

/// For what Postgres can do as well: it would have answered by then.
const BRIEF: Patience = Patience {
    limit: Duration::from_millis(250),
    insist: false,
};
/// For what must replace an older entry.
const PATIENT: Patience = Patience {
    limit: Duration::from_secs(1),
    insist: true,
};

/// Moves the staged entry into place unless a newer one is there. Redis runs a script as one
/// step. The host's spans show the arguments of scripts, so an order's text must not be one:
/// it is staged by a plain `set`, whose value they leave out.
const PUBLISH: &str = "
local staged = redis.call('get', KEYS[2])
if not staged or string.sub(staged, 1, #ARGV[2]) ~= ARGV[2] then return -1 end
local old = redis.call('get', KEYS[1])
if old and tonumber(string.match(old, '^%d+')) > tonumber(ARGV[1]) then
  redis.call('del', KEYS[2])
  return 0
end
redis.call('rename', KEYS[2], KEYS[1])
redis.call('pexpire', KEYS[1], ARGV[3])
return 1";

/// Keys to stage entries under. They are few, so that what a dead instance left in one is
/// soon overwritten; a script finds its own entry there or none.
const STAGES: u32 = 256;

/// Attempts to publish an entry, should another one come between.
const STAGE_ATTEMPTS: u32 = 3;

/// The order if it is cached; also `None` when Redis does not answer.
pub async fn get(context: &Context, id: Uuid) -> Option<OrderJson> {
    let arguments = vec![Argument::Text(key(context, id))];
    let values = match execute(&context.config.redis_url, "GET", arguments, BRIEF).await {
        Ok(values) => values,
        Err(error) => {
            events::cache_asked("error");
            tell(context, &error);
            return None;
        }
    };
    let Some(Value::Binary(entry)) = values.into_iter().next() else {
        events::cache_asked("miss");
        return None;
    };
    events::cache_asked("hit");
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
        if let Err(error) = set(&context, &order, BRIEF).await {
            tell(&context, &error);
        }
    });
}

/// Writes a changed order before the response, so that the client reads its own write. If
/// Redis does not answer, the entry is put right as soon as it does.
pub async fn write_through(context: &Context, order: &OrderJson) {
    if let Err(error) = set(context, order, PATIENT).await {
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
        if set(context, order, PATIENT).await.is_ok() {
            return;
        }
        wait = wait.saturating_mul(2).min(Duration::from_secs(1));
    }
}

/// Whether Redis answers.
pub async fn ping(context: &Context) -> bool {
    let result = execute(&context.config.redis_url, "PING", Vec::new(), BRIEF).await;
    result.is_ok()
}

async fn set(context: &Context, order: &OrderJson, patience: Patience) -> Result<(), RedisFailure> {
    let url = &context.config.redis_url;
    let entry = format!("{} {}", order.version, order.json.get());
    // The version and the id, the first field of the document, tell entries apart.
    let mark = format!("{} {{\"id\":\"{}\"", order.version, order.id);
    let ttl = i64::try_from(context.config.order_cache_ttl.as_millis()).unwrap_or(i64::MAX);
    for _ in 0..STAGE_ATTEMPTS {
        let stage = format!(
            "{}order-stage:{}",
            context.config.redis_key_prefix,
            random(STAGES)
        );
        redis::set(url, stage.clone(), entry.clone(), patience).await?;
        let arguments = vec![
            Argument::Text(PUBLISH.into()),
            Argument::Number(2),
            Argument::Text(key(context, order.id)),
            Argument::Text(stage),
            Argument::Number(order.version.into()),
            Argument::Text(mark.clone()),
            Argument::Number(ttl),
        ];
        let result = execute(url, "EVAL", arguments, patience).await?;
        if !matches!(result.first(), Some(Value::Int64(-1))) {
            return Ok(());
        }
    }
    Err(RedisFailure::Failed("every staging key was taken".into()))
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
