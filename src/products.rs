//! The product service: prices by HTTP, with a time-out for each attempt and retries where
//! another attempt can help, never past the request's deadline, and not while it fails anyway.

mod attempt;
pub mod breaker;
mod reply;

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use futures_util::future::try_join_all;
use http::{Request, StatusCode};

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
    let mut ids: Vec<&String> = ids.iter().filter(|id| is_one_segment(id)).collect();
    ids.sort();
    ids.dedup();
    let look_up = LookUp {
        context,
        deadline,
        failed_rounds: AtomicU32::new(0),
    };
    let one = async |id: &String| {
        let product = look_up.one(id).await?;
        Ok::<_, Error>(product.map(|product| (id.clone(), product)))
    };
    let mut found = Vec::with_capacity(ids.len());
    breaker::inform(context).await;
    // One that is not closed lets a single probe pass: the others of the order wait for it.
    if !breaker::is_closed()
        && let Some(id) = ids.pop()
    {
        found.push(one(id).await?);
    }
    found.extend(try_join_all(ids.into_iter().map(one)).await?);
    Ok(found.into_iter().flatten().collect())
}

/// The status that the product service's own health check answers with, if it answers.
pub async fn ping(context: &Context) -> Option<StatusCode> {
    let service = &context.config.product_service;
    let url = format!("{}{}", service.url, service.health_path);
    let request = Request::get(url).body(()).ok()?;
    http_client::fetch_status(request).await.ok()
}

/// Whether an id is one segment of a path everywhere. Some services decode a path before they
/// take it apart, and cut the spaces off an id, so no encoding makes the others safe.
fn is_one_segment(id: &str) -> bool {
    !id.contains(['/', '\\']) && !matches!(id, "." | "..") && id.trim() == id
}

/// The products of one order.
struct LookUp<'a> {
    context: &'a Context,
    deadline: Deadline,
    /// Rounds of attempts of which one has failed: the others of a round are no further failures
    /// in a row.
    failed_rounds: AtomicU32,
}

impl LookUp<'_> {
    async fn one(&self, id: &str) -> Result<Option<Product>, Error> {
        let Self {
            context, deadline, ..
        } = *self;
        let service = &context.config.product_service;
        let path = service.path.replace("{id}", &encode_segment(id));
        let url = format!("{}{path}", service.url);
        let mut failure = String::from("there was no time to ask");
        let mut asked = Duration::ZERO;
        for number in 0..service.attempts {
            if number > 0 {
                let wait = backoff(number).max(asked);
                if wait >= deadline.left() || !breaker::is_closed() {
                    break;
                }
                sleep(wait).await;
            }
            let permit = match breaker::permit() {
                Ok(permit) => permit,
                Err(wait) => {
                    events::product_short_circuited();
                    return Err(unavailable("it failed a moment ago".into(), wait));
                }
            };
            if number > 0 {
                events::product_retried();
            }
            match attempt(context, id, &url, deadline.at_most(service.timeout)).await {
                Ok(product) => {
                    permit.succeeded(context);
                    return Ok(product);
                }
                Err(Failure::Final(error)) => {
                    permit.succeeded(context);
                    return Err(error);
                }
                Err(Failure::Passing {
                    reason,
                    retry_after,
                    is_theirs,
                }) => {
                    failure = reason;
                    asked = retry_after;
                    let round = number.saturating_add(1);
                    let will_wait = round < service.attempts && asked < deadline.left();
                    if !asked.is_zero() && !will_wait {
                        permit.refused(context, asked);
                    } else if is_theirs {
                        let failed = self.failed_rounds.fetch_max(round, Ordering::Relaxed);
                        permit.failed(context, failed < round);
                    }
                }
            }
        }
        let what = "the product service does not answer";
        log::degradation(&context.config, what, &failure);
        Err(unavailable(failure, breaker::open_for()))
    }
}

fn unavailable(reason: String, retry_after: Duration) -> Error {
    Error::ProductServiceUnavailable {
        reason,
        retry_after,
    }
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
