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
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use crate::context::Context;
use crate::platform::redis::{Argument, Patience, RedisFailure, Value, execute};
use crate::platform::{postgres, spawn, time};
use crate::telemetry::log;

/// How long counts wait for company at most.
const GATHER: Duration = Duration::from_millis(100);
/// Responses in a row without Postgres that make an instance quick.
const QUICK: u32 = 16;
/// How long counts wait that Redis did not take.
const FLUSH_PAUSE: Duration = Duration::from_millis(100);
/// How long a response waits for a flush.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);
/// How long Redis has for a flush that nobody waits for.
const FLUSH_LIMIT_LATER: Duration = Duration::from_secs(5);
/// Repetitions that may fail before counts wait for the next request instead. They outlast the
/// pause that follows a failure of Redis.
const FLUSH_ATTEMPTS: u32 = 20;
/// How long a scrape waits for Redis.
const READ_PATIENCE: Patience = Patience {
    limit: Duration::from_secs(1),
    insist: false,
};

/// Adds every number to its field of the hash, in one step, unless the set of the instance's
/// batches (the second key) has this one (the first argument) already: a batch is sent again when
/// Redis did not confirm it.
const ADD_ALL: &str = "
if redis.call('sadd', KEYS[2], ARGV[1]) == 1 then
  redis.call('pexpire', KEYS[2], 60000)
  for i = 2, #ARGV, 2 do redis.call('hincrby', KEYS[1], ARGV[i], ARGV[i + 1]) end
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
    help: "Attempts at the product service: ok, not_found (also a reply about another product), refused (another 4xx), invalid (a reply that makes no sense) or unavailable; with the status of the reply, if there was one.",
    labels: &["result", "http_response_status_code"],
    kind: Kind::Histogram,
};
pub const RETRIES: Family = Family {
    name: "product_service_retries",
    help: "Attempts at the product service that repeat a failed one.",
    labels: &[],
    kind: Kind::Counter,
};
pub const BREAKER_OPENINGS: Family = Family {
    name: "product_service_breaker_openings",
    help: "How often an instance has stopped asking the product service for a while, probes that failed included.",
    labels: &[],
    kind: Kind::Counter,
};
pub const SHORT_CIRCUITS: Family = Family {
    name: "product_service_short_circuits",
    help: "Look-ups that were given up at once because the breaker was open; they grow while it is.",
    labels: &[],
    kind: Kind::Counter,
};
pub const PROBES: Family = Family {
    name: "product_service_probes",
    help: "Requests of /ready to the product service's health check.",
    labels: &[],
    kind: Kind::Counter,
};
pub const PROBES_FAILED: Family = Family {
    name: "product_service_probes_failed",
    help: "Those that were not answered with 2xx or 404.",
    labels: &[],
    kind: Kind::Counter,
};
pub const LAST_KNOWN_PRICES: Family = Family {
    name: "order_lines_at_last_known_price",
    help: "Lines of orders whose price had been seen before, because the product service did not answer.",
    labels: &[],
    kind: Kind::Counter,
};

/// Every family, in the order of the scrape.
pub const FAMILIES: [Family; 11] = [
    REQUESTS,
    CREATED,
    TRANSITIONS,
    CACHE,
    PRODUCTS,
    RETRIES,
    BREAKER_OPENINGS,
    SHORT_CIRCUITS,
    PROBES,
    PROBES_FAILED,
    LAST_KNOWN_PRICES,
];

/// Counts by field.
pub type Counts = BTreeMap<String, i64>;

/// Counts on their way to Redis.
struct Batch {
    number: i64,
    counts: Counts,
}

/// Batches that wait for Redis at most; further counts wait to be packed.
const OUTBOX_MAX: usize = 4;

/// Tells this instance's batches from those of others.
static INSTANCE: OnceLock<Uuid> = OnceLock::new();

thread_local! {
    /// How many batches have been made.
    static PACKED: Cell<i64> = const { Cell::new(0) };
    /// Batches that Redis has not confirmed.
    static OUTBOX: RefCell<Vec<Arc<Batch>>> = const { RefCell::new(Vec::new()) };
    /// Responses since the last batch was packed.
    static UNPACKED: Cell<u32> = const { Cell::new(0) };
    /// Responses in a row that did without Postgres.
    static WITHOUT_POSTGRES: Cell<u32> = const { Cell::new(QUICK / 2) };
    static PLANNED: Cell<bool> = const { Cell::new(false) };
    /// Whether batches wait that nobody is about to send again.
    static GIVEN_UP: Cell<bool> = const { Cell::new(false) };
    static REPEATING: Cell<bool> = const { Cell::new(false) };
}

/// Adds what has been counted to Redis after the response. An instance that works with Postgres
/// keeps the counts of no more requests than it has in flight, so a host that is killed takes no
/// more along. A quick instance gathers longer: there, the command to Redis is a quarter of the
/// work of a request.
pub fn flush_later(context: &Context, in_flight: u32) {
    let unpacked = UNPACKED.get().saturating_add(1);
    UNPACKED.set(unpacked);
    let without_postgres = if postgres::is_connected() {
        0
    } else {
        WITHOUT_POSTGRES.get().saturating_add(1)
    };
    WITHOUT_POSTGRES.set(without_postgres);
    let quick = without_postgres >= QUICK;
    let context = context.clone();
    if unpacked >= in_flight && !quick && has_room() {
        spawn(async move { flush(&context).await });
    } else if !PLANNED.replace(true) {
        spawn(async move {
            time::sleep(GATHER).await;
            PLANNED.set(false);
            flush(&context).await;
        });
    }
}

/// Adds what has been counted to Redis while a response waits.
pub async fn flush_now(context: &Context) {
    send_all(context, FLUSH_LIMIT).await;
}

/// Sends what has been counted, again and again if need be.
async fn flush(context: &Context) {
    let given_up = GIVEN_UP.replace(false);
    let added = match pack() {
        _ if given_up => false,
        Some(batch) => send(context, &batch, FLUSH_LIMIT_LATER).await,
        None => events::is_idle(),
    };
    if added || REPEATING.replace(true) {
        return;
    }
    for _ in 0..FLUSH_ATTEMPTS {
        time::sleep(FLUSH_PAUSE).await;
        if send_all(context, FLUSH_LIMIT_LATER).await && is_all_added() {
            REPEATING.set(false);
            return;
        }
    }
    GIVEN_UP.set(true);
    REPEATING.set(false);
}

/// Makes a batch of what has been counted, unless too many wait already.
fn pack() -> Option<Arc<Batch>> {
    if !has_room() || events::is_idle() {
        return None;
    }
    UNPACKED.set(0);
    let number = PACKED.get().saturating_add(1);
    PACKED.set(number);
    let counts = events::take();
    let batch = Arc::new(Batch { number, counts });
    OUTBOX.with_borrow_mut(|outbox| outbox.push(batch.clone()));
    Some(batch)
}

fn is_all_added() -> bool {
    events::is_idle() && OUTBOX.with_borrow(Vec::is_empty)
}

fn has_room() -> bool {
    OUTBOX.with_borrow(Vec::len) < OUTBOX_MAX
}

/// Sends what has been counted and every batch that has not been confirmed; whether all of them
/// have been added.
async fn send_all(context: &Context, limit: Duration) -> bool {
    pack();
    for batch in OUTBOX.with_borrow(Clone::clone) {
        if !send(context, &batch, limit).await {
            return false;
        }
    }
    true
}

/// Sends a batch, and forgets it when it has been added.
async fn send(context: &Context, batch: &Batch, limit: Duration) -> bool {
    match add(context, batch, limit).await {
        Ok(()) => {
            OUTBOX.with_borrow_mut(|outbox| outbox.retain(|other| other.number != batch.number));
            true
        }
        Err(error) => {
            let error = error.to_string();
            log::degradation(&context.config, "counters wait for Redis", &error);
            false
        }
    }
}

/// Adds a batch, once, however often it is sent.
async fn add(context: &Context, batch: &Batch, limit: Duration) -> Result<(), RedisFailure> {
    let key = key(context);
    let instance = *INSTANCE.get_or_init(Uuid::now_v7);
    let mut arguments = vec![
        Argument::Text(ADD_ALL.into()),
        Argument::Number(2),
        Argument::Text(key.clone()),
        Argument::Text(format!("{key}:batches:{instance}")),
        Argument::Number(batch.number),
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
