//! Counters: kept in the instance, added to Redis after responses, shown at `/metrics`.
//!
//! An instance lives too briefly to keep them alone. What has been counted since the last
//! flush is added to one Redis hash by one script, so the sum over all instances and replicas
//! is there. Losing Redis loses counts, never requests.

pub mod families;
pub mod gauges;
pub mod text;

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use self::families::{BUCKETS_US, CREATED, Family, SEPARATOR, TRANSITIONS};
use crate::config::Config;
use crate::context::Context;
use crate::platform::redis::{self, Argument, Patience, RedisFailure, Value, execute};
use crate::telemetry::log;

/// How long a scrape waits for Redis.
const READ_LIMIT: Duration = Duration::from_secs(1);

/// Adds every number to its field of the hash, in one step, unless this batch of the instance
/// (the second key has the number of its last one) has been added already: a batch is sent again
/// when Redis did not confirm it, and the next one only after it. Those who wait for changes of
/// orders look at the third key, or listen to the channel of that name.
const ADD_ALL: &str = "
if tonumber(redis.call('get', KEYS[2]) or 0) < tonumber(ARGV[1]) then
  redis.call('set', KEYS[2], ARGV[1], 'px', 60000)
  for i = 3, #ARGV, 2 do redis.call('hincrby', KEYS[1], ARGV[i], ARGV[i + 1]) end
  if tonumber(ARGV[2]) > 0 then
    redis.call('publish', KEYS[3], redis.call('incrby', KEYS[3], ARGV[2]))
  end
end";

/// Counts by field.
pub type Counts = BTreeMap<String, i64>;

/// Counts on their way to Redis.
struct Batch {
    number: i64,
    counts: Counts,
}

impl Batch {
    /// How many changes of orders are among what has been counted.
    fn changes(&self) -> i64 {
        let is_change = |field: &str| {
            let name = field.split(SEPARATOR).next();
            [Some(CREATED.name), Some(TRANSITIONS.name)].contains(&name)
        };
        let changes = self.counts.iter().filter(|(field, _)| is_change(field));
        changes.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// Tells this instance's batches from those of others.
static INSTANCE: OnceLock<Uuid> = OnceLock::new();

thread_local! {
    static COUNTED: RefCell<Counts> = const { RefCell::new(Counts::new()) };
    /// How many batches have been made.
    static PACKED: Cell<i64> = const { Cell::new(0) };
    /// The batch that Redis has not confirmed.
    static PENDING: RefCell<Option<Arc<Batch>>> = const { RefCell::new(None) };
}

/// Counts what has happened; labels are the family's, in its order.
pub fn count(family: &Family, labels: &[&str]) {
    add(&field(family, labels), 1);
    super::plan();
}

/// Counts what has happened and how long it took.
pub fn observe(family: &Family, labels: &[&str], duration: Duration) {
    note(family, labels, duration);
    super::plan();
}

/// Counts a request that has been answered, in a flush that is under way.
pub fn request(request: &log::Request) {
    let method = match request.method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "_OTHER",
    };
    let route = request.route.unwrap_or_default();
    let labels = [method, route, request.status.as_str()];
    note(&families::REQUESTS, &labels, request.duration);
}

fn field(family: &Family, labels: &[&str]) -> String {
    let mut field = String::from(family.name);
    for label in labels {
        field.push(SEPARATOR);
        field.push_str(label);
    }
    field
}

/// Adds one to the bucket of the duration, and the duration to the sum.
fn note(family: &Family, labels: &[&str], duration: Duration) {
    let field = field(family, labels);
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let bucket = BUCKETS_US.partition_point(|bound| *bound < us);
    add(&format!("{field}{SEPARATOR}{bucket}"), 1);
    let us = i64::try_from(us).unwrap_or(i64::MAX);
    add(&format!("{field}{SEPARATOR}sum_us"), us);
}

fn add(field: &str, number: i64) {
    COUNTED.with_borrow_mut(|counts| match counts.get_mut(field) {
        Some(sum) => *sum = sum.saturating_add(number),
        None => drop(counts.insert(field.to_owned(), number)),
    });
}

/// Whether Redis has all that has been counted.
pub fn is_idle() -> bool {
    COUNTED.with_borrow(Counts::is_empty) && PENDING.with_borrow(Option::is_none)
}

/// Sends what has been counted; whether Redis has all of it.
pub async fn send(config: &Config, limit: Duration) -> bool {
    // The batch that has not been confirmed goes first.
    for _ in 0..2 {
        let Some(batch) = next_batch() else {
            return true;
        };
        if let Err(error) = send_batch(config, &batch, limit).await {
            let error = error.to_string();
            log::degradation(config, "counters wait for Redis", &error);
            return false;
        }
        PENDING.with_borrow_mut(|pending| {
            pending.take_if(|pending| pending.number == batch.number);
        });
    }
    true
}

/// The batch that has not been confirmed, or one of what has been counted since.
fn next_batch() -> Option<Arc<Batch>> {
    if PENDING.with_borrow(Option::is_none) {
        let counts = COUNTED.take();
        if counts.is_empty() {
            return None;
        }
        let number = PACKED.get().saturating_add(1);
        PACKED.set(number);
        PENDING.set(Some(Arc::new(Batch { number, counts })));
    }
    PENDING.with_borrow(Clone::clone)
}

/// Adds a batch, once, however often it is sent.
async fn send_batch(config: &Config, batch: &Batch, limit: Duration) -> Result<(), RedisFailure> {
    let key = key(config);
    let instance = *INSTANCE.get_or_init(Uuid::now_v7);
    let last_batch = format!("{key}:batch:{instance}");
    let keys = [key, last_batch, changes_key(config)].map(Argument::Text);
    let mut arguments = vec![
        Argument::Number(batch.number),
        Argument::Number(batch.changes()),
    ];
    for (field, count) in &batch.counts {
        arguments.push(Argument::Text(field.clone()));
        arguments.push(Argument::Number(*count));
    }
    let url = &config.redis_url;
    let patience = Patience::of(limit);
    redis::run_script(url, ADD_ALL, keys.to_vec(), arguments, patience).await?;
    Ok(())
}

/// A number that is another one after orders have changed; `None` when Redis does not answer.
pub async fn changes(context: &Context) -> Option<i64> {
    let config = &context.config;
    let number = redis::get(&config.redis_url, changes_key(config), Patience::BRIEF).await;
    match number.ok()? {
        Some(number) => core::str::from_utf8(&number).ok()?.parse().ok(),
        None => Some(0),
    }
}

/// The sums over all instances and replicas; `None` when Redis does not answer.
pub async fn sums(context: &Context) -> Option<Counts> {
    let config = &context.config;
    super::flush(super::FLUSH_LIMIT).await;
    let arguments = vec![Argument::Text(key(config))];
    let patience = Patience::of(READ_LIMIT);
    let values = execute(&config.redis_url, "HGETALL", arguments, patience).await;
    let mut values = values.ok()?.into_iter();
    let mut counts = Counts::new();
    while let (Some(Value::Binary(field)), Some(Value::Binary(count))) =
        (values.next(), values.next())
    {
        let count = core::str::from_utf8(&count).ok()?.parse().ok()?;
        counts.insert(String::from_utf8(field).ok()?, count);
    }
    Some(counts)
}

fn changes_key(config: &Config) -> String {
    config.redis_key("orders.events")
}

fn key(config: &Config) -> String {
    config.redis_key("metrics")
}
