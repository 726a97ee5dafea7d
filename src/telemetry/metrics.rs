//! Counters: kept in the instance, added to Redis after responses, shown at `/metrics`.
//!
//! An instance lives too briefly to keep them alone. What has been counted since the last
//! flush is added to one Redis hash by one script, so the sum over all instances and replicas
//! is there. Losing Redis loses counts, never requests.

pub mod events;
pub mod gauges;
pub mod text;

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::context::Context;
use crate::platform::redis::{Argument, Patience, RedisFailure, Value, execute};
use crate::platform::{spawn, time};
use crate::telemetry::{gather, log};

/// How long counts wait that Redis did not take.
const FLUSH_PAUSE: Duration = Duration::from_millis(100);
/// How long a response waits for a flush.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);
/// How long Redis has for a flush that nobody waits for.
const FLUSH_LIMIT_LATER: Duration = Duration::from_secs(5);
/// Flushes in a row that may fail before counts wait for the next request instead. They outlast
/// the pause that follows a failure of Redis.
const FLUSH_ATTEMPTS: u32 = 20;
/// How long a scrape waits for Redis.
const READ_PATIENCE: Patience = Patience {
    limit: Duration::from_secs(1),
    insist: false,
};

/// Adds every number to its field of the hash, in one step, unless the batch (the second key)
/// has been added before: a batch is sent again when Redis did not confirm it.
const ADD_ALL: &str = "
if redis.call('set', KEYS[2], '', 'nx', 'px', 60000) then
  for i = 1, #ARGV, 2 do redis.call('hincrby', KEYS[1], ARGV[i], ARGV[i + 1]) end
end";

/// What is counted. A field of the hash is the family's key and the label values, separated
/// by [`SEPARATOR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Name without the suffix `_total`.
    pub name: &'static str,
    pub help: &'static str,
    pub labels: &'static [&'static str],
    pub kind: Kind,
}

/// How a family is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    /// Of seconds; counted in [`BUCKETS_US`].
    Histogram,
}

pub const SEPARATOR: char = '|';

/// Upper bounds of the buckets of a duration, in microseconds; the last bucket has none.
pub const BUCKETS_US: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

pub const REQUESTS: Family = Family {
    name: "http_server_request_duration_seconds",
    help: "Time from the arrival of a request to its response.",
    labels: &[
        "http_request_method",
        "http_route",
        "http_response_status_code",
    ],
    kind: Kind::Histogram,
};
pub const CREATED: Family = Family {
    name: "orders_created",
    help: "Orders that were created.",
    labels: &[],
    kind: Kind::Counter,
};
pub const TRANSITIONS: Family = Family {
    name: "order_status_transitions",
    help: "Changes of an order's status.",
    labels: &["from", "to"],
    kind: Kind::Counter,
};
pub const CACHE: Family = Family {
    name: "order_cache_requests",
    help: "Look-ups of an order in the cache: hit, miss, or error when the cache did not answer.",
    labels: &["result"],
    kind: Kind::Counter,
};
pub const PRODUCTS: Family = Family {
    name: "product_service_request_duration_seconds",
    help: "Attempts at the product service: ok, not_found, invalid (a reply that makes no sense) or unavailable.",
    labels: &["result"],
    kind: Kind::Histogram,
};
pub const RETRIES: Family = Family {
    name: "product_service_retries",
    help: "Attempts at the product service that repeat a failed one.",
    labels: &[],
    kind: Kind::Counter,
};

/// Every family, in the order of the scrape.
pub const FAMILIES: [Family; 6] = [REQUESTS, CREATED, TRANSITIONS, CACHE, PRODUCTS, RETRIES];

/// Counts by field.
pub type Counts = BTreeMap<String, i64>;

/// Counts on their way to Redis.
struct Batch {
    id: Uuid,
    counts: Counts,
}

/// Batches that wait for Redis at most; further counts wait to be packed.
const OUTBOX_MAX: usize = 4;

thread_local! {
    static OUTBOX: RefCell<Vec<Arc<Batch>>> = const { RefCell::new(Vec::new()) };
    /// How many batches have been made.
    static PACKED: Cell<u32> = const { Cell::new(0) };
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
}

/// Adds what has been counted to Redis, soon.
pub fn flush_later(context: &Context) {
    if FLUSHING.replace(true) {
        return;
    }
    let context = context.clone();
    spawn(async move {
        let mut failures: u32 = 0;
        while failures < FLUSH_ATTEMPTS {
            let packed = PACKED.get();
            if failures > 0 {
                time::sleep(FLUSH_PAUSE).await;
            } else {
                gather().await;
                // What has been counted since a flush in the meantime waits for the next one.
                if packed != PACKED.get() && !events::is_idle() {
                    continue;
                }
            }
            let added = flush(&context, FLUSH_LIMIT_LATER).await;
            // What was counted during the flush needs another one.
            if added && events::is_idle() {
                break;
            }
            failures = if added { 0 } else { failures.saturating_add(1) };
        }
        FLUSHING.set(false);
    });
}

/// Adds what has been counted to Redis while a response waits.
pub async fn flush_now(context: &Context) {
    flush(context, FLUSH_LIMIT).await;
}

/// Sends what has been counted, and what was sent before but has not been confirmed; whether
/// all of it has been added.
async fn flush(context: &Context, limit: Duration) -> bool {
    pack();
    for batch in OUTBOX.with_borrow(Clone::clone) {
        if let Err(error) = send(context, &batch, limit).await {
            let error = error.to_string();
            log::degradation(&context.config, "counters wait for Redis", &error);
            return false;
        }
        OUTBOX.with_borrow_mut(|outbox| outbox.retain(|other| other.id != batch.id));
    }
    true
}

/// Makes a batch of what has been counted, unless too many wait already.
fn pack() {
    let room = OUTBOX.with_borrow(Vec::len) < OUTBOX_MAX;
    if !room || events::is_idle() {
        return;
    }
    PACKED.set(PACKED.get().wrapping_add(1));
    let (id, counts) = (Uuid::now_v7(), events::take());
    OUTBOX.with_borrow_mut(|outbox| outbox.push(Arc::new(Batch { id, counts })));
}

/// Adds a batch, once, however often it is sent.
async fn send(context: &Context, batch: &Batch, limit: Duration) -> Result<(), RedisFailure> {
    let key = key(context);
    let mut arguments = vec![
        Argument::Text(ADD_ALL.into()),
        Argument::Number(2),
        Argument::Text(key.clone()),
        Argument::Text(format!("{key}:batch:{}", batch.id)),
    ];
    for (field, count) in &batch.counts {
        arguments.push(Argument::Text(field.clone()));
        arguments.push(Argument::Number(*count));
    }
    let url = &context.config.redis_url;
    let patience = Patience {
        limit,
        insist: false,
    };
    execute(url, "EVAL", arguments, patience).await?;
    Ok(())
}

/// The sums over all instances and replicas; `None` when Redis does not answer.
pub async fn sums(context: &Context) -> Option<Counts> {
    flush_now(context).await;
    let arguments = vec![Argument::Text(key(context))];
    let values = execute(
        &context.config.redis_url,
        "HGETALL",
        arguments,
        READ_PATIENCE,
    )
    .await;
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

fn key(context: &Context) -> String {
    format!("{}metrics", context.config.redis_key_prefix)
}
