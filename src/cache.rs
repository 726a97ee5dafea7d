//! Orders in Redis, each with its version, so that a write never loses to an older one.
//!
//! An entry is `<version> <document>`, or `<version> ` alone when the order has changed since it
//! was asked for last. Without Redis the service is slower, not wrong.
//!
//! Hosts write the arguments of scripts into their spans, and an order is personal data. So a
//! document travels as the value of a plain `set`, which spans leave out, and a change of an
//! order sends its head alone.

use core::cell::RefCell;
use core::time::Duration;

use uuid::Uuid;

use crate::context::Context;
use crate::domain::order::OrderDocument;
use crate::platform::random::random;
use crate::platform::redis::{self, Argument, Patience, RedisFailure, execute};
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

/// Puts the entries that were staged, one on each line behind a mark, where they belong, unless
/// something as new is there. Redis runs a script as one step.
const PUBLISH: &str = "
local staged = redis.call('get', KEYS[1]) or ''
local mark = ARGV[1] .. '\\n'
if string.sub(staged, 1, #mark) ~= mark then return 0 end
redis.call('del', KEYS[1])
local n = 1
for entry in string.gmatch(string.sub(staged, #mark + 1), '[^\\n]+') do
  n = n + 1
  local old = redis.call('get', KEYS[n]) or ''
  local has = tonumber(string.match(old, '^(%d+) ') or 0)
  local new = tonumber(string.match(entry, '^%d+'))
  if new > has or new == has and #entry > #old then
    redis.call('set', KEYS[n], entry, 'px', ARGV[2])
  end
end
return n - 1";

/// Gives an entry its new head, unless it is as new. An order that is not there, or in the form
/// of another release, is left to the next reader, who may store nothing older.
const CHANGE: &str = "
local old = redis.call('get', KEYS[1]) or ''
local has = tonumber(string.match(old, '^(%d+) ') or 0)
if has >= tonumber(ARGV[1]) then return 0 end
local head = ',\"status\":\"%l+\",\"version\":%d+,\"updated_at\":\"[%w:.-]+\"}$'
local body = string.match(old, '^%d+ (.*)' .. head)
redis.call('set', KEYS[1], ARGV[1] .. ' ' .. (body and body .. ARGV[2] or ''), 'px', ARGV[3])
return 1";

/// Keys to stage entries under. They are few, so that what a dead instance left in one is
/// soon overwritten; a script finds its own entries there or none.
const STAGES: u32 = 256;

/// How long orders that were read wait for others, so that they go to Redis together.
const LINGER: Duration = Duration::from_millis(10);
/// Orders that wait at most; the others are left to the next reader.
const WAITING_MAX: usize = 64;

thread_local! {
    static WAITING: RefCell<Vec<OrderDocument>> = const { RefCell::new(Vec::new()) };
}

/// The order if it is cached; also `None` when Redis does not answer.
pub async fn get(context: &Context, id: Uuid) -> Option<OrderDocument> {
    let entry = match redis::get(&context.config.redis_url, key(context, id), BRIEF).await {
        Ok(entry) => entry,
        Err(error) => {
            events::cache_asked("error");
            tell(context, &error);
            return None;
        }
    };
    let order = entry.and_then(|entry| read(id, entry));
    events::cache_asked(if order.is_some() { "hit" } else { "miss" });
    order
}

/// What an entry says; `None` if it makes no sense or has no document.
fn read(id: Uuid, entry: Vec<u8>) -> Option<OrderDocument> {
    let mut json = String::from_utf8(entry).ok()?;
    let (version, document) = json.split_once(' ')?;
    let version = version.parse().ok()?;
    if !document.starts_with(&format!("{{\"id\":\"{id}\"")) || !document.ends_with('}') {
        return None;
    }
    json.drain(..json.len().saturating_sub(document.len()));
    Some(OrderDocument { id, version, json })
}

/// Fills the cache after the response, together with what others have read.
pub fn fill_later(context: &Context, order: &OrderDocument) {
    let waiting = WAITING.with_borrow_mut(|waiting| {
        if waiting.len() < WAITING_MAX {
            waiting.push(order.clone());
        }
        waiting.len()
    });
    if waiting == 1 {
        let context = context.clone();
        spawn(async move {
            time::sleep(LINGER).await;
            let orders = WAITING.take();
            if let Err(error) = fill(&context, &orders).await {
                tell(&context, &error);
            }
        });
    }
}

async fn fill(context: &Context, orders: &[OrderDocument]) -> Result<(), RedisFailure> {
    let url = &context.config.redis_url;
    let mark = Uuid::now_v7().to_string();
    let mut staged = mark.clone();
    let stage = format!(
        "{}order-stage:{}",
        context.config.redis_key_prefix,
        random(STAGES)
    );
    let mut keys = vec![Argument::Text(stage.clone())];
    for order in orders {
        let version = order.version.to_string();
        for part in ["\n", &version, " ", &order.json] {
            staged.push_str(part);
        }
        keys.push(Argument::Text(key(context, order.id)));
    }
    redis::set(url, stage, staged, BRIEF).await?;
    let arguments = vec![Argument::Text(mark), ttl_ms(context)];
    run(context, PUBLISH, keys, arguments, BRIEF).await
}

/// Writes a change before the response, so that the client reads its own write. If Redis does
/// not answer, the entry is put right as soon as it does.
pub async fn write_through(context: &Context, order: &OrderDocument) {
    if let Err(error) = change(context, order).await {
        tell(context, &error);
        let (context, order) = (context.clone(), order.clone());
        spawn(async move { repair(&context, &order).await });
    }
}

/// Tries again until the old entry would have expired anyway.
async fn repair(context: &Context, order: &OrderDocument) {
    let end = time::Deadline::after(context.config.order_cache_ttl);
    let mut wait = Duration::from_millis(100);
    while !end.left().is_zero() {
        time::sleep(wait).await;
        if change(context, order).await.is_ok() {
            return;
        }
        wait = wait.saturating_mul(2).min(Duration::from_secs(1));
    }
}

async fn change(context: &Context, order: &OrderDocument) -> Result<(), RedisFailure> {
    let arguments = vec![
        Argument::Number(order.version.into()),
        Argument::Text(order.head().unwrap_or_default().to_owned()),
        ttl_ms(context),
    ];
    let key = Argument::Text(key(context, order.id));
    run(context, CHANGE, vec![key], arguments, PATIENT).await
}

/// Whether Redis answers.
pub async fn ping(context: &Context) -> bool {
    let result = execute(&context.config.redis_url, "PING", Vec::new(), BRIEF).await;
    result.is_ok()
}

async fn run(
    context: &Context,
    script: &str,
    keys: Vec<Argument>,
    arguments: Vec<Argument>,
    patience: Patience,
) -> Result<(), RedisFailure> {
    let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    let words = [Argument::Text(script.into()), Argument::Number(count)];
    let words = words.into_iter().chain(keys).chain(arguments).collect();
    execute(&context.config.redis_url, "EVAL", words, patience).await?;
    Ok(())
}

fn key(context: &Context, id: Uuid) -> String {
    format!("{}order:{id}", context.config.redis_key_prefix)
}

fn ttl_ms(context: &Context) -> Argument {
    let ttl = context.config.order_cache_ttl.as_millis();
    Argument::Number(i64::try_from(ttl).unwrap_or(i64::MAX))
}

fn tell(context: &Context, error: &RedisFailure) {
    log::degradation(
        &context.config,
        "the cache does not answer",
        &error.to_string(),
    );
}
