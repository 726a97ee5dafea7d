//! Orders in Redis, each with its version, so that a write never loses to an older one.
//!
//! An entry is `<version> <document>`, or `<version> ` alone when the order has changed since it
//! was asked for last. In front of it stands `!<change>,<change> ` while the order is changed: such
//! an entry is shown to nobody and replaced by nobody else, so that a host that dies between
//! Postgres and Redis leaves nothing old behind. Without Redis the service is slower, not wrong.
//!
//! What was read before Redis lost its memory may be older than a change of which Redis knew. So
//! an order is stored only if Redis still has the epoch that it had before the order was read.
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
use crate::platform::redis::{self, Argument, Patience, RedisFailure, Value, execute};
use crate::platform::{spawn, time};
use crate::telemetry::log;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::CACHE;

/// For what is worth trying in any case.
const BRIEF_BUT_INSISTENT: Patience = Patience {
    insist: true,
    ..Patience::BRIEF
};

/// Puts the entries that were staged, one on each line behind a mark, where they belong, unless
/// something as new is there, or the epoch (the second key) is not the one that was known before
/// they were read. Gives back the epoch, and begins one if there is none. Redis runs a script as
/// one step.
const PUBLISH: &str = "
redis.call('set', KEYS[2], ARGV[3], 'nx')
local epoch = redis.call('get', KEYS[2])
local staged = redis.call('get', KEYS[1]) or ''
local mark = ARGV[1] .. '\\n'
if string.sub(staged, 1, #mark) ~= mark then return epoch end
redis.call('del', KEYS[1])
local n = 2
for entry in string.gmatch(string.sub(staged, #mark + 1), '[^\\n]+') do
  n = n + 1
  local old = redis.call('get', KEYS[n]) or ''
  local has = tonumber(string.match(old, '^(%d+) ') or 0)
  local new = tonumber(string.match(entry, '^%d+'))
  local is_newer = new > has or new == has and #entry > #old
  if ARGV[n + 1] == epoch and string.sub(old, 1, 1) ~= '!' and is_newer then
    redis.call('set', KEYS[n], entry, 'px', ARGV[2])
  end
end
return epoch";

/// Hides an entry from all readers for as long as a change may take, and gives back how long it would
/// have lived, in milliseconds. Of very many changes at once, the oldest are cut off: what is left of
/// them hides the entry for as long.
const BEGIN: &str = "
local ttl = redis.call('pttl', KEYS[1])
local old = redis.call('get', KEYS[1]) or ''
local changes, entry = string.match(old, '^!(%S+) (.*)$')
changes = string.sub((changes and changes .. ',' or '') .. ARGV[1], -1000)
redis.call('set', KEYS[1], '!' .. changes .. ' ' .. (entry or old), 'px', ARGV[2])
return ttl";

/// Gives an entry its new head, unless it is as new, and shows it again, unless other changes are
/// under way. An order that is not there, or in the form of another release, is left to the next
/// reader, who may store nothing older.
const CHANGE: &str = "
local old = redis.call('get', KEYS[1]) or ''
local changes, entry = string.match(old, '^!(%S+) (.*)$')
entry = entry or old
local has = tonumber(string.match(entry, '^(%d+) ') or 0)
if has < tonumber(ARGV[1]) then
  local head = ',\"status\":\"%l+\",\"version\":%d+,\"updated_at\":\"[%w:.-]+\"}$'
  local body = string.match(entry, '^%d+ (.*)' .. head)
  entry = ARGV[1] .. ' ' .. (body and body .. ARGV[2] or '')
elseif not changes then
  return 0
end
local others = {}
for change in string.gmatch(changes or '', '[^,]+') do
  if change ~= ARGV[4] then table.insert(others, change) end
end
local ttl = ARGV[3]
if #others > 0 then
  entry = '!' .. table.concat(others, ',') .. ' ' .. entry
  ttl = ARGV[5]
end
if entry == '' then return redis.call('del', KEYS[1]) end
redis.call('set', KEYS[1], entry, 'px', ttl)
return 1";

/// Keys to stage entries under. They are few, so that what a dead instance left in one is
/// soon overwritten; a script finds its own entries there or none.
const STAGES: u32 = 256;

/// How long orders that were read wait for others, so that they go to Redis together.
const LINGER: Duration = Duration::from_millis(50);
/// Orders that wait at most; the others are left to the next reader.
const WAITING_MAX: usize = 64;

thread_local! {
    static WAITING: RefCell<Vec<(OrderDocument, String)>> = const { RefCell::new(Vec::new()) };
    /// The epoch of Redis, as far as this instance knows it; empty if it does not.
    static EPOCH: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What the cache has of an order.
#[derive(Debug)]
pub struct Cached {
    pub order: Option<OrderDocument>,
    /// The epoch before the order is read elsewhere; `None` when Redis does not answer, and when
    /// nobody needs it.
    epoch: Option<String>,
}

/// The order if it is cached; not so when Redis does not answer. With an `owner`, the entry of
/// another user's order is none.
pub async fn get(context: &Context, id: Uuid, owner: Option<&str>) -> Cached {
    match look_up(context, id, owner).await {
        Ok(cached) => {
            let is_hit = cached.order.is_some();
            count(&CACHE, &[if is_hit { "hit" } else { "miss" }]);
            cached
        }
        Err(error) => {
            count(&CACHE, &["error"]);
            tell(context, &error);
            Cached {
                order: None,
                epoch: None,
            }
        }
    }
}

async fn look_up(context: &Context, id: Uuid, owner: Option<&str>) -> Result<Cached, RedisFailure> {
    let url = &context.config.redis_url;
    let entry = redis::get(url, key(context, id), Patience::BRIEF).await?;
    let order = entry.and_then(|entry| read(id, owner, entry));
    let epoch = match order {
        Some(_) => None,
        None => Some(epoch(context).await?),
    };
    Ok(Cached { order, epoch })
}

/// The epoch, which begins if there is none. An instance asks once, and is told when it fills.
async fn epoch(context: &Context) -> Result<String, RedisFailure> {
    let known = EPOCH.with_borrow(Clone::clone);
    if !known.is_empty() {
        return Ok(known);
    }
    let new = Uuid::now_v7().to_string();
    let words = [epoch_key(context), new.clone(), "NX".into(), "GET".into()].map(Argument::Text);
    let url = &context.config.redis_url;
    let before = execute(url, "SET", words.to_vec(), Patience::BRIEF).await?;
    let epoch = match before.into_iter().next() {
        Some(Value::Binary(epoch)) => String::from_utf8(epoch).unwrap_or_default(),
        _ => new,
    };
    EPOCH.set(epoch.clone());
    Ok(epoch)
}

/// What an entry says; `None` if it makes no sense, has no document, or one of another user.
fn read(id: Uuid, owner: Option<&str>, entry: Vec<u8>) -> Option<OrderDocument> {
    let mut json = String::from_utf8(entry).ok()?;
    let (version, document) = json.split_once(' ')?;
    let version = version.parse().ok()?;
    let after_id = document.strip_prefix(&format!("{{\"id\":\"{id}\","))?;
    if !document.ends_with('}') || !owner.is_none_or(|owner| is_of(owner, after_id)) {
        return None;
    }
    json.drain(..json.len().saturating_sub(document.len()));
    Some(OrderDocument { id, version, json })
}

/// Whether a document is one of the owner's, by what follows its id. JSON may write a text in
/// several ways; what does not look the same is left to the database.
fn is_of(owner: &str, after_id: &str) -> bool {
    let Ok(owner) = serde_json::to_string(owner) else {
        return false;
    };
    let user_id = after_id.strip_prefix("\"user_id\":");
    let rest = user_id.and_then(|user_id| user_id.strip_prefix(&owner));
    rest.is_some_and(|rest| rest.starts_with(','))
}

/// Fills the cache after the response, together with what others have read. `cached` is what the
/// cache had before the order was read.
pub fn fill_later(context: &Context, order: &OrderDocument, cached: Cached) {
    let Some(epoch) = cached.epoch else { return };
    let waiting = WAITING.with_borrow_mut(|waiting| {
        if waiting.len() < WAITING_MAX {
            waiting.push((order.clone(), epoch));
        }
        waiting.len()
    });
    if waiting == 1 {
        let context = context.clone();
        spawn(async move {
            time::sleep(LINGER).await;
            let orders = WAITING.take();
            if let Err(error) = fill(&context, orders).await {
                tell(&context, &error);
            }
        });
    }
}

async fn fill(context: &Context, orders: Vec<(OrderDocument, String)>) -> Result<(), RedisFailure> {
    let url = &context.config.redis_url;
    let mark = Uuid::now_v7().to_string();
    let mut staged = mark.clone();
    let stage = random(STAGES);
    let stage = context
        .config
        .redis_key(format_args!("order-stage:{stage}"));
    let mut keys = [stage.clone(), epoch_key(context)]
        .map(Argument::Text)
        .to_vec();
    let mut arguments = vec![
        Argument::Text(mark),
        ttl_ms(context),
        Argument::Text(Uuid::now_v7().to_string()),
    ];
    for (order, epoch) in orders {
        let version = order.version.to_string();
        for part in ["\n", &version, " ", &order.json] {
            staged.push_str(part);
        }
        keys.push(Argument::Text(key(context, order.id)));
        arguments.push(Argument::Text(epoch));
    }
    redis::set(url, stage, staged, Patience::BRIEF).await?;
    let values = run(context, PUBLISH, keys, arguments, Patience::BRIEF).await?;
    if let Some(Value::Binary(epoch)) = values.into_iter().next() {
        EPOCH.set(String::from_utf8(epoch).unwrap_or_default());
    }
    Ok(())
}

/// A change of an order that is under way.
#[derive(Debug, Clone)]
pub struct Change {
    id: Uuid,
    mark: String,
    /// How long the entry would have lived without it, in milliseconds.
    ttl_ms: i64,
}

/// Hides the order before it is changed. Should Redis not answer, an entry may be shown until the
/// change has been written, or has expired.
pub async fn begin_change(context: &Context, id: Uuid) -> Change {
    let mark = Uuid::now_v7().to_string();
    let key = Argument::Text(key(context, id));
    let arguments = vec![Argument::Text(mark.clone()), hold_ms(context)];
    let ttl_ms = match run(context, BEGIN, vec![key], arguments, BRIEF_BUT_INSISTENT).await {
        Ok(values) => match values.first() {
            Some(Value::Int64(ttl_ms)) => *ttl_ms,
            _ => 0,
        },
        Err(error) => {
            tell(context, &error);
            0
        }
    };
    Change { id, mark, ttl_ms }
}

/// Writes what has become of the order before the response, so that the client reads its own
/// write. If Redis does not answer, the entry is put right as soon as it does.
pub async fn end_change(context: &Context, order: &OrderDocument, change: Change) {
    let head = order.head().unwrap_or_default();
    let (version, ttl) = (order.version, ttl_ms(context));
    if let Err(error) = write(context, &change, version, head, ttl).await {
        tell(context, &error);
        let (context, head) = (context.clone(), head.to_owned());
        spawn(async move { repair(&context, &change, version, &head).await });
    }
}

/// Shows the order again as it was, for as long as it would have been: nothing has been asked to
/// change it.
pub async fn give_up_change(context: &Context, change: &Change) {
    let ttl = Argument::Number(change.ttl_ms.max(1));
    if let Err(error) = write(context, change, 0, "", ttl).await {
        tell(context, &error);
    }
}

/// Tries again until the old entry would have expired anyway.
async fn repair(context: &Context, change: &Change, version: i32, head: &str) {
    let end = time::Deadline::after(context.config.order_cache_ttl);
    let mut wait = Duration::from_millis(100);
    while !end.left().is_zero() {
        time::sleep(wait).await;
        let ttl = ttl_ms(context);
        if write(context, change, version, head, ttl).await.is_ok() {
            return;
        }
        wait = wait.saturating_mul(2).min(Duration::from_secs(1));
    }
}

async fn write(
    context: &Context,
    change: &Change,
    version: i32,
    head: &str,
    ttl: Argument,
) -> Result<(), RedisFailure> {
    let arguments = vec![
        Argument::Number(version.into()),
        Argument::Text(head.to_owned()),
        ttl,
        Argument::Text(change.mark.clone()),
        hold_ms(context),
    ];
    let key = Argument::Text(key(context, change.id));
    run(context, CHANGE, vec![key], arguments, Patience::PATIENT).await?;
    Ok(())
}

/// Whether Redis answers.
pub async fn ping(context: &Context) -> bool {
    let result = execute(
        &context.config.redis_url,
        "PING",
        Vec::new(),
        Patience::BRIEF,
    )
    .await;
    result.is_ok()
}

async fn run(
    context: &Context,
    script: &str,
    keys: Vec<Argument>,
    arguments: Vec<Argument>,
    patience: Patience,
) -> Result<Vec<Value>, RedisFailure> {
    redis::run_script(&context.config.redis_url, script, keys, arguments, patience).await
}

fn key(context: &Context, id: Uuid) -> String {
    context.config.redis_key(format_args!("order:{id}"))
}

fn epoch_key(context: &Context) -> String {
    context.config.redis_key("order-epoch")
}

/// How long a change may hide an order: longer than its statement can take.
fn hold_ms(context: &Context) -> Argument {
    Argument::millis(context.config.request_timeout.saturating_mul(2))
}

fn ttl_ms(context: &Context) -> Argument {
    Argument::millis(context.config.order_cache_ttl)
}

fn tell(context: &Context, error: &RedisFailure) {
    log::degradation(
        &context.config,
        "the cache does not answer",
        &error.to_string(),
    );
}
