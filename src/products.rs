//! The product service: prices by HTTP, with a time-out for each attempt and retries where
//! another attempt can help, never past the request's deadline.

mod attempt;
mod reply;

use core::time::Duration;

use futures_util::future::try_join_all;
use http::Request;

use self::attempt::{Failure, attempt};
use crate::context::Context;
use crate::domain::pricing::Product;
use crate::error::Error;
use crate::platform::http_client;
use crate::platform::http_client::encode_segment;
use crate::platform::random::random;
use crate::platform::time::{Deadline, sleep};
use crate::telemetry::log;
use crate::telemetry::metrics::events;

/// Longest wait before the second attempt; it doubles with each further one.
const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Looks up each distinct id once, all at the same time; what is not among the products cannot
/// be ordered.
pub async fn look_up(
    context: &Context,
    ids: &[String],
    deadline: Deadline,
) -> Result<Vec<(String, Product)>, Error> {
    let mut distinct: Vec<&String> = ids.iter().filter(|id| is_one_segment(id)).collect();
    distinct.sort();
    distinct.dedup();
    let lookups = distinct.into_iter().map(|id| async move {
        let product = look_up_one(context, id, deadline).await?;
        Ok::<_, Error>(product.map(|product| (id.clone(), product)))
    });
    Ok(try_join_all(lookups).await?.into_iter().flatten().collect())
}

/// Whether the product service answers at all.
pub async fn ping(context: &Context) -> bool {
    let url = format!("{}/health", context.config.product_service.url);
    let Ok(request) = Request::get(url).body(()) else {
        return false;
    };
    let status = http_client::fetch_status(request).await;
    status.is_ok_and(|status| !status.is_server_error())
}

/// Whether an id is one segment of a path everywhere. Some services decode a path before they
/// take it apart, and cut the spaces off an id, so no encoding makes the others safe.
fn is_one_segment(id: &str) -> bool {
    !id.contains(['/', '\\']) && !matches!(id, "." | "..") && id.trim() == id
}

async fn look_up_one(
    context: &Context,
    id: &str,
    deadline: Deadline,
) -> Result<Option<Product>, Error> {
    let service = &context.config.product_service;
    let path = service.path.replace("{id}", &encode_segment(id));
    let url = format!("{}{path}", service.url);
    let mut failure = String::from("there was no time to ask");
    for number in 0..service.attempts {
        if number > 0 {
            let wait = backoff(number);
            if wait >= deadline.left() {
                break;
            }
            sleep(wait).await;
            events::product_retried();
        }
        match attempt(context, id, &url, deadline.at_most(service.timeout)).await {
            Ok(product) => return Ok(product),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(reason)) => failure = reason,
        }
    }
    log::degradation(
        &context.config,
        "the product service does not answer",
        &failure,
    );
    Err(Error::ProductServiceUnavailable(failure))
}

/// A random wait (full jitter), so that clients that failed together do not return together.
fn backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let limit = BACKOFF_BASE.saturating_mul(1 << doublings).min(BACKOFF_MAX);
    let limit_us = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
    Duration::from_micros(random(limit_us).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_may_lead_elsewhere_is_not_asked_for() {
        for id in [
            "/",
            "a/b",
            "a\\b",
            ".",
            "..",
            " a",
            "a ",
            "\u{a0}a",
            "a\u{3000}",
        ] {
            assert!(!is_one_segment(id), "{id:?}");
        }
        for id in ["a", "a b", "...", ".a", "%2F", "{id}", "\u{661}"] {
            assert!(is_one_segment(id), "{id:?}");
        }
    }

    #[test]
    fn the_wait_grows_and_is_bounded() {
        for attempt in 1..40 {
            assert!(backoff(attempt) <= BACKOFF_MAX);
        }
        assert!(backoff(1) <= BACKOFF_BASE);
    }
}
