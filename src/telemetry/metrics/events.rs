//! What has happened, noted during a request and counted after many.

use core::cell::RefCell;
use core::time::Duration;

use axum::extract::MatchedPath;
use http::{Method, StatusCode};

use super::{
    BREAKER_OPENINGS, BUCKETS_US, CACHE, CREATED, Counts, Family, LAST_KNOWN_PRICES, PROBES,
    PROBES_FAILED, PRODUCTS, REQUESTS, RETRIES, SEPARATOR, SHORT_CIRCUITS, TRANSITIONS,
};
use crate::domain::status::Status;

/// Something that has happened. Making fields of it takes longer than noting it, so that is done
/// for many at a time, after their responses.
#[derive(Debug)]
enum Event {
    Answered {
        method: Method,
        route: Option<MatchedPath>,
        status: StatusCode,
        duration: Duration,
    },
    OrderCreated,
    StatusChanged {
        from: Status,
        to: Status,
    },
    CacheAsked(&'static str),
    ProductAsked {
        result: &'static str,
        status: Option<StatusCode>,
        duration: Duration,
    },
    ProductRetried,
    ProductShortCircuited,
    ProductProbed {
        is_up: bool,
    },
    BreakerOpened,
    PricesRecalled {
        lines: usize,
    },
}

/// Events that are noted at most before they are counted.
const EVENTS_MAX: usize = 256;

thread_local! {
    static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
    static COUNTED: RefCell<Counts> = const { RefCell::new(Counts::new()) };
}

/// Counts a request that has been answered.
pub fn request(
    method: &Method,
    route: Option<&MatchedPath>,
    status: StatusCode,
    duration: Duration,
) {
    note(Event::Answered {
        method: method.clone(),
        route: route.cloned(),
        status,
        duration,
    });
}

pub fn order_created() {
    note(Event::OrderCreated);
}

pub fn status_changed(from: Status, to: Status) {
    note(Event::StatusChanged { from, to });
}

/// Counts a look-up in the cache: `hit`, `miss` or `error`.
pub fn cache_asked(result: &'static str) {
    note(Event::CacheAsked(result));
}

/// Counts an attempt at the product service: `ok`, `not_found`, `refused`, `invalid` or
/// `unavailable`; the status is of the reply, if there was one.
pub fn product_asked(result: &'static str, status: Option<StatusCode>, duration: Duration) {
    note(Event::ProductAsked {
        result,
        status,
        duration,
    });
}

pub fn product_retried() {
    note(Event::ProductRetried);
}

/// Counts a look-up that was given up at once.
pub fn product_short_circuited() {
    note(Event::ProductShortCircuited);
}

pub fn product_probed(is_up: bool) {
    note(Event::ProductProbed { is_up });
}

pub fn breaker_opened() {
    note(Event::BreakerOpened);
}

/// Counts the lines of an order that have their last known price.
pub fn prices_recalled(lines: usize) {
    if lines > 0 {
        note(Event::PricesRecalled { lines });
    }
}

/// How many events are noted and not counted yet.
pub fn noted() -> usize {
    EVENTS.with_borrow(Vec::len)
}

/// Whether nothing has happened since the counts were last taken.
pub fn is_idle() -> bool {
    noted() == 0 && COUNTED.with_borrow(Counts::is_empty)
}

/// Counts what has happened since the last time.
pub fn take() -> Counts {
    let mut counts = COUNTED.take();
    count_events(&mut counts);
    counts
}

fn note(event: Event) {
    let many = EVENTS.with_borrow_mut(|events| {
        events.push(event);
        events.len() >= EVENTS_MAX
    });
    if many {
        COUNTED.with_borrow_mut(count_events);
    }
}

/// Adds all events to the counts.
fn count_events(counts: &mut Counts) {
    for event in EVENTS.take() {
        match event {
            Event::Answered {
                method,
                route,
                status,
                duration,
            } => {
                let method = match method.as_str() {
                    known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => {
                        known
                    }
                    _ => "_OTHER",
                };
                let route = route.as_ref().map_or("", MatchedPath::as_str);
                let status = status.as_str();
                observe(counts, REQUESTS, &[method, route, status], duration);
            }
            Event::OrderCreated => add(counts, field(CREATED, &[]), 1),
            Event::StatusChanged { from, to } => {
                add(counts, field(TRANSITIONS, &[from.as_str(), to.as_str()]), 1);
            }
            Event::CacheAsked(result) => add(counts, field(CACHE, &[result]), 1),
            Event::ProductAsked {
                result,
                status,
                duration,
            } => {
                let status = status.as_ref().map_or("", StatusCode::as_str);
                observe(counts, PRODUCTS, &[result, status], duration);
            }
            Event::ProductRetried => add(counts, field(RETRIES, &[]), 1),
            Event::ProductShortCircuited => add(counts, field(SHORT_CIRCUITS, &[]), 1),
            Event::ProductProbed { is_up } => {
                add(counts, field(PROBES, &[]), 1);
                add(counts, field(PROBES_FAILED, &[]), i64::from(!is_up));
            }
            Event::PricesRecalled { lines } => {
                let lines = i64::try_from(lines).unwrap_or(i64::MAX);
                add(counts, field(LAST_KNOWN_PRICES, &[]), lines);
            }
            Event::BreakerOpened => add(counts, field(BREAKER_OPENINGS, &[]), 1),
        }
    }
}

fn field(family: Family, labels: &[&str]) -> String {
    let mut field = String::from(family.name);
    for label in labels {
        field.push(SEPARATOR);
        field.push_str(label);
    }
    field
}

/// Counts a duration: one in its bucket, and its length in the sum.
fn observe(counts: &mut Counts, family: Family, labels: &[&str], duration: Duration) {
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let bucket = BUCKETS_US.partition_point(|bound| *bound < us);
    let field = field(family, labels);
    add(counts, format!("{field}{SEPARATOR}{bucket}"), 1);
    let us = i64::try_from(us).unwrap_or(i64::MAX);
    add(counts, format!("{field}{SEPARATOR}sum_us"), us);
}

fn add(counts: &mut Counts, field: String, count: i64) {
    let sum = counts.entry(field).or_default();
    *sum = sum.saturating_add(count);
}
