//! What the service counts.

use core::time::Duration;

use super::count;
use super::families::{CACHE, CREATED, Family, PRODUCTS, REQUESTS, RETRIES, TRANSITIONS};
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

pub fn order_created() {
    happened(&CREATED, &[]);
}

pub fn status_changed(from: Status, to: Status) {
    happened(&TRANSITIONS, &[from.as_str(), to.as_str()]);
}

/// Counts a look-up in the cache: `hit`, `miss` or `error`.
pub fn cache_asked(result: &'static str) {
    happened(&CACHE, &[result]);
}

/// Counts an attempt at the product service: `ok`, `not_found`, `invalid` or `unavailable`.
pub fn product_asked(result: &'static str, duration: Duration) {
    took(&PRODUCTS, &[result], duration);
}

pub fn product_retried() {
    happened(&RETRIES, &[]);
}

fn happened(family: &Family, labels: &[&str]) {
    count(family, labels, None);
    plan();
}

fn took(family: &Family, labels: &[&str], duration: Duration) {
    count(family, labels, Some(duration));
    plan();
}
