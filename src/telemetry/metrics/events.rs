//! What the service counts.

use core::time::Duration;

use http::StatusCode;

use super::count;
use super::families::{
    AUTHENTICATIONS, BREAKER_OPENINGS, CACHE, CREATED, Family, LAST_KNOWN_PRICES, LIMITS, PROBES,
    PROBES_FAILED, PRODUCTS, REFUSED, REPLAYED, REPLICA_READS, REPLICA_UNMARKED, REQUESTS, RETRIES,
    SHORT_CIRCUITS, TRANSITIONS,
};
use crate::domain::status::Status;
use crate::telemetry::{log, plan};

/// Counts a request that has been answered.
pub fn request(request: &log::Request) {
    let method = match request.method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "_OTHER",
    };
    let labels = [
        method,
        request.route.unwrap_or_default(),
        request.status.as_str(),
    ];
    count(&REQUESTS, &labels, Some(request.duration));
}

/// Counts a request that was not tried.
pub fn request_refused() {
    happened(&REFUSED, &[]);
}

pub fn order_created() {
    happened(&CREATED, &[]);
}

pub fn order_replayed() {
    happened(&REPLAYED, &[]);
}

pub fn status_changed(from: Status, to: Status) {
    happened(&TRANSITIONS, &[from.as_str(), to.as_str()]);
}

/// Counts a look-up in the cache: `hit`, `miss` or `error`.
pub fn cache_asked(result: &'static str) {
    happened(&CACHE, &[result]);
}

/// Counts a list that a replica might have answered: `served`, `behind`, `failed` or `skipped`.
pub fn replica_asked(result: &'static str) {
    happened(&REPLICA_READS, &[result]);
}

/// Counts a write of which lists were not told.
pub fn replica_write_unmarked() {
    happened(&REPLICA_UNMARKED, &[]);
}

/// Counts an attempt at the product service: `ok`, `not_found`, `refused`, `invalid` or
/// `unavailable`; the status is of the reply, if there was one.
pub fn product_asked(result: &'static str, status: Option<StatusCode>, duration: Duration) {
    let status = status.as_ref().map_or("", StatusCode::as_str);
    took(&PRODUCTS, &[result, status], duration);
}

pub fn product_retried() {
    happened(&RETRIES, &[]);
}

/// Counts a look-up that was given up at once.
pub fn product_short_circuited() {
    happened(&SHORT_CIRCUITS, &[]);
}

pub fn product_probed(is_up: bool) {
    happened(&PROBES, &[]);
    if !is_up {
        happened(&PROBES_FAILED, &[]);
    }
}

pub fn breaker_opened() {
    happened(&BREAKER_OPENINGS, &[]);
}

/// Counts the lines of an order that have their last known price.
pub fn prices_recalled(lines: usize) {
    for _ in 0..lines {
        happened(&LAST_KNOWN_PRICES, &[]);
    }
}

/// Counts a caller that had to show a token: `accepted`, `missing`, `refused` or `unavailable`.
pub fn authenticated(result: &'static str) {
    happened(&AUTHENTICATIONS, &[result]);
}

/// Counts a request that was held against a limit: `allowed`, `refused` or `unchecked`.
pub fn limited(result: &'static str) {
    happened(&LIMITS, &[result]);
}

fn happened(family: &Family, labels: &[&str]) {
    count(family, labels, None);
    plan();
}

fn took(family: &Family, labels: &[&str], duration: Duration) {
    count(family, labels, Some(duration));
    plan();
}
