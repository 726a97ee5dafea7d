//! The product service: prices by HTTP, with a time-out for each attempt and retries where
//! another attempt can help, never past the request's deadline.

mod reply;

use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::header::LOCATION;
use http::{Request, Response, StatusCode, Uri};

use crate::context::Context;
use crate::domain::pricing::Product;
use crate::error::Error;
use crate::platform::http_client;
use crate::platform::http_client::encode_segment;
use crate::platform::random::random;
use crate::platform::time::{Deadline, sleep};
use crate::telemetry::log;
use crate::telemetry::metrics::events;

/// Longest reply that is read, in bytes.
const REPLY_MAX_BYTES: usize = 64 * 1024;
/// Longest wait before the second attempt; it doubles with each further one.
const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Looks up each distinct id once, all at the same time; `None` is a product that cannot be
/// ordered.
pub async fn look_up(
    context: &Context,
    ids: &[String],
    deadline: Deadline,
) -> Result<Vec<(String, Option<Product>)>, Error> {
    let mut distinct: Vec<&String> = ids.iter().collect();
    distinct.sort();
    distinct.dedup();
    let lookups = distinct.into_iter().map(|id| async move {
        let product = look_up_one(context, id, deadline).await?;
        Ok::<_, Error>((id.clone(), product))
    });
    try_join_all(lookups).await
}

/// Whether the product service answers at all.
pub async fn ping(context: &Context) -> bool {
    let url = format!("{}/health", context.config.product_service.url);
    let Ok(request) = Request::get(url).body(()) else {
        return false;
    };
    let reply = http_client::fetch(request, REPLY_MAX_BYTES).await;
    reply.is_ok_and(|reply| !reply.status().is_server_error())
}

async fn look_up_one(
    context: &Context,
    id: &str,
    deadline: Deadline,
) -> Result<Option<Product>, Error> {
    // A dot segment would lead to another path, however it is encoded.
    if matches!(id, "." | "..") {
        return Ok(None);
    }
    let service = &context.config.product_service;
    let url = format!(
        "{}{}",
        service.url,
        service.path.replace("{id}", &encode_segment(id))
    );
    let mut failure = String::from("there was no time to ask");
    for attempt in 0..service.attempts {
        if attempt > 0 {
            let wait = backoff(attempt);
            if wait >= deadline.left() {
                break;
            }
            sleep(wait).await;
            events::product_retried();
        }
        let started = Instant::now();
        let limit = deadline.at_most(service.timeout);
        let result = match limit.limit(ask(context, &url)).await {
            Ok(Ok(reply)) => reply::product(&reply).map_err(Failure::Final),
            Ok(Err(failure)) => Err(failure),
            Err(elapsed) => Err(Failure::Passing(elapsed.to_string())),
        };
        events::product_asked(label(&result), started.elapsed());
        match result {
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

/// How an attempt is counted.
fn label(result: &Result<Option<Product>, Failure>) -> &'static str {
    match result {
        Ok(Some(_)) => "ok",
        Ok(None) => "not_found",
        Err(Failure::Final(_)) => "invalid",
        Err(Failure::Passing(_)) => "unavailable",
    }
}

/// Why an attempt gave no reply.
enum Failure {
    /// Another attempt may succeed.
    Passing(String),
    Final(Error),
}

/// One attempt, following one redirect on the same origin.
async fn ask(context: &Context, url: &str) -> Result<Response<Bytes>, Failure> {
    let reply = get(context, url).await?;
    if !reply.status().is_redirection() {
        return Ok(reply);
    }
    let location = reply
        .headers()
        .get(LOCATION)
        .and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| same_origin(url, location));
    let Some(target) = target else {
        let reason = "it redirects elsewhere".into();
        return Err(Failure::Final(Error::InvalidProductReply(reason)));
    };
    let reply = get(context, &target).await?;
    if reply.status().is_redirection() {
        let reason = "it redirects twice".into();
        return Err(Failure::Final(Error::InvalidProductReply(reason)));
    }
    Ok(reply)
}

async fn get(context: &Context, url: &str) -> Result<Response<Bytes>, Failure> {
    let mut request = Request::get(url).header("accept", "application/json");
    // A host that traces puts its own span here; one that does not leaves the client's.
    if let Some(traceparent) = &context.traceparent {
        request = request.header("traceparent", traceparent);
    }
    let request = request
        .body(())
        .map_err(|error| Failure::Final(Error::Internal(error.to_string())))?;
    let reply = http_client::fetch(request, REPLY_MAX_BYTES)
        .await
        .map_err(|error| Failure::Passing(error.to_string()))?;
    let status = reply.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Failure::Passing(format!("it answered {status}")));
    }
    Ok(reply)
}

/// The target of a redirect from `url`, if it stays on the same scheme, host and port.
fn same_origin(url: &str, location: &str) -> Option<String> {
    let origin = url.parse::<Uri>().ok()?;
    let (scheme, authority) = (origin.scheme_str()?, origin.authority()?);
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let target = location.parse::<Uri>().ok()?;
    let same = target.scheme_str() == Some(scheme) && target.authority() == Some(authority);
    same.then(|| location.to_owned())
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
    fn a_redirect_stays_on_its_origin() {
        let from = |location| same_origin("http://products:80/api/products/a", location);
        assert_eq!(from("/b/").as_deref(), Some("http://products:80/b/"));
        assert_eq!(
            from("http://products:80/b").as_deref(),
            Some("http://products:80/b")
        );
        for other in [
            "http://elsewhere/b",
            "https://products:80/b",
            "//elsewhere/b",
            "b",
            "",
        ] {
            assert_eq!(from(other), None, "{other}");
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
