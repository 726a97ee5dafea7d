//! Counters: kept in the instance, added to Redis after responses, shown at `/metrics`.
//!
//! An instance lives too briefly to keep them alone. What has been counted since the last
//! flush is added to one Redis hash by one script, so the sum over all instances and replicas
//! is there. Losing Redis loses counts, never requests.

pub mod gauges;
pub mod text;

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;

use crate::context::Context;
use crate::domain::status::Status;
use crate::platform::redis::{Argument, Patience, RedisFailure, Value, execute};
use crate::platform::{spawn, time};
use crate::telemetry::log;

/// How long counts wait for company before they are flushed.
const FLUSH_DELAY: Duration = Duration::from_millis(100);
/// Every so many responses the counts are flushed before the response. Spin drops an instance,
/// with whatever it still has to do, after its 128th response.
const FLUSH_EVERY: u32 = 64;
/// How long a flush may take.
const FLUSH_PATIENCE: Patience = Patience {
    limit: Duration::from_millis(500),
    insist: false,
};
/// How long a scrape waits for Redis.
const READ_PATIENCE: Patience = Patience {
    limit: Duration::from_secs(1),
    insist: false,
};

/// Adds every number to its field of the hash, in one step.
const ADD_ALL: &str = "
for i = 1, #ARGV, 2 do redis.call('hincrby', KEYS[1], ARGV[i], ARGV[i + 1]) end";

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

thread_local! {
    static PENDING: RefCell<Counts> = const { RefCell::new(Counts::new()) };
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
    static ANSWERED: Cell<u32> = const { Cell::new(0) };
}

/// Counts a request that has been answered.
pub fn request(method: &http::Method, route: Option<&str>, status: u16, duration: Duration) {
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "_OTHER",
    };
    let labels = format!(
        "{method}{SEPARATOR}{}{SEPARATOR}{status}",
        route.unwrap_or_default()
    );
    observe(REQUESTS, &labels, duration);
}

pub fn order_created() {
    add(CREATED.name.to_owned(), 1);
}

pub fn status_changed(from: Status, to: Status) {
    add(field(TRANSITIONS, &format!("{from}{SEPARATOR}{to}")), 1);
}

/// Counts a look-up in the cache: `hit`, `miss` or `error`.
pub fn cache_asked(result: &'static str) {
    add(field(CACHE, result), 1);
}

/// Counts an attempt at the product service: `ok`, `not_found`, `invalid` or `unavailable`.
pub fn product_asked(result: &'static str, duration: Duration) {
    observe(PRODUCTS, result, duration);
}

pub fn product_retried() {
    add(RETRIES.name.to_owned(), 1);
}

fn field(family: Family, labels: &str) -> String {
    format!("{}{SEPARATOR}{labels}", family.name)
}

/// Counts a duration: one in its bucket, and its length in the sum.
fn observe(family: Family, labels: &str, duration: Duration) {
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let bucket = BUCKETS_US.partition_point(|bound| *bound < us);
    let field = field(family, labels);
    add(format!("{field}{SEPARATOR}{bucket}"), 1);
    add(
        format!("{field}{SEPARATOR}sum_us"),
        i64::try_from(us).unwrap_or(i64::MAX),
    );
}

fn add(field: String, count: i64) {
    PENDING.with_borrow_mut(|pending| {
        let sum = pending.entry(field).or_default();
        *sum = sum.saturating_add(count);
    });
}

/// Adds what has been counted to Redis: soon after the response, or before it for every
/// [`FLUSH_EVERY`]th one.
pub async fn flush_in_time(context: &Context) {
    let answered = ANSWERED.get().wrapping_add(1);
    ANSWERED.set(answered);
    if answered.is_multiple_of(FLUSH_EVERY) {
        return flush(context).await;
    }
    if FLUSHING.replace(true) {
        return;
    }
    let context = context.clone();
    spawn(async move {
        time::sleep(FLUSH_DELAY).await;
        FLUSHING.set(false);
        flush(&context).await;
    });
}

async fn flush(context: &Context) {
    let counts = PENDING.take();
    if counts.is_empty() {
        return;
    }
    let mut arguments = vec![
        Argument::Text(ADD_ALL.into()),
        Argument::Number(1),
        Argument::Text(key(context)),
    ];
    for (field, count) in &counts {
        arguments.push(Argument::Text(field.clone()));
        arguments.push(Argument::Number(*count));
    }
    match execute(&context.config.redis_url, "EVAL", arguments, FLUSH_PATIENCE).await {
        // Without an answer they may have been added: rather lost than counted twice.
        Ok(_) | Err(RedisFailure::NoAnswer(_)) => {}
        Err(error) => {
            for (field, count) in counts {
                add(field, count);
            }
            log::degradation(
                &context.config,
                "counters wait for Redis",
                &error.to_string(),
            );
        }
    }
}

/// The sums over all instances and replicas; `None` when Redis does not answer.
pub async fn sums(context: &Context) -> Option<Counts> {
    flush(context).await;
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
