//! The product service: prices by HTTP, with a time-out for each attempt and retries where
//! another attempt can help, never past the request's deadline, and not while it fails anyway.
//! Where the settings allow it, a price that was seen before stands in for an answer.

mod attempt;
pub mod breaker;
mod last_price;
pub mod reply;

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use chrono::Utc;
use futures_util::future::try_join_all;
use http::{Request, StatusCode};

use self::attempt::{Failure, attempt};
use crate::context::Context;
use crate::domain::pricing::Product;
use crate::error::Error;
use crate::platform::http_client::{self, encode_segment};
use crate::platform::random::random;
use crate::platform::time::{Deadline, sleep};
use crate::telemetry::log;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::{RETRIES, SHORT_CIRCUITS};

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
    breaker::inform(context).await;
    let begun = Utc::now();
    let look_up = LookUp {
        context,
        deadline,
        failed_rounds: AtomicU32::new(0),
    };
    let answers = look_up.all(ids).await?;
    let mut found = Vec::with_capacity(answers.len());
    let mut unanswered = Vec::new();
    let mut failure = None;
    for (id, answer) in answers {
        match answer {
            Answer::Found(product) => found.push((id, product)),
            Answer::Unavailable(error) => {
                unanswered.push(id);
                failure = Some(error);
            }
        }
    }
    last_price::keep_later(context, begun, &found);
    let mut products: Vec<_> = found
        .into_iter()
        .filter_map(|(id, product)| Some((id, product?)))
        .collect();
    if let Some(failure) = failure {
        let recalled = last_price::recall(context, &unanswered).await;
        if recalled.len() < unanswered.len() {
            return Err(failure);
        }
        products.extend(recalled);
    }
    Ok(products)
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

/// What came of asking for a product.
enum Answer {
    /// `None` cannot be ordered.
    Found(Option<Product>),
    /// There may be a last known price.
    Unavailable(Error),
}

impl LookUp<'_> {
    async fn all(&self, mut ids: Vec<&String>) -> Result<Vec<(String, Answer)>, Error> {
        let mut answers = Vec::with_capacity(ids.len());
        // A breaker that is not closed lets a single probe pass: the others wait for it.
        if !breaker::is_closed()
            && let Some(id) = ids.pop()
        {
            answers.push(self.answer(id).await?);
        }
        let others = ids.into_iter().map(|id| self.answer(id));
        answers.extend(try_join_all(others).await?);
        Ok(answers)
    }

    /// The first error ends the look-up of all, unless last known prices may help.
    async fn answer(&self, id: &str) -> Result<(String, Answer), Error> {
        let keeps_prices = self.context.config.product_service.price_max_age.is_some();
        let answer = match self.one(id).await {
            Ok(product) => Answer::Found(product),
            Err(error @ Error::ProductServiceUnavailable { .. }) if keeps_prices => {
                Answer::Unavailable(error)
            }
            Err(error) => return Err(error),
        };
        Ok((id.to_owned(), answer))
    }

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
                    count(&SHORT_CIRCUITS, &[]);
                    return Err(unavailable("it failed a moment ago".into(), wait));
                }
            };
            if number > 0 {
                count(&RETRIES, &[]);
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
