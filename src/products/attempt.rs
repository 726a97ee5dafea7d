//! One attempt at the product service, following one redirect on the same origin.

use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, Request, Response, StatusCode, Uri};

use super::reply;
use crate::context::Context;
use crate::domain::pricing::Product;
use crate::error::Error;
use crate::platform::http_client::{self, HttpFailure};
use crate::platform::time::Deadline;
use crate::telemetry::metrics::families::PRODUCTS;
use crate::telemetry::metrics::observe;

/// Longest reply that is read, in bytes.
const REPLY_MAX_BYTES: usize = 1024 * 1024;

/// Why an attempt gave no product.
pub enum Failure {
    /// Another attempt may succeed.
    Passing {
        reason: String,
        /// How long the product service wants to be left alone.
        retry_after: Duration,
        /// Whether it says anything about the product service.
        is_theirs: bool,
    },
    Final(Error),
}

impl Failure {
    fn passing(reason: String, is_theirs: bool) -> Self {
        Self::Passing {
            reason,
            retry_after: Duration::ZERO,
            is_theirs,
        }
    }
}

/// Asks for a product, until `limit`; `None` is one that cannot be ordered.
pub async fn attempt(
    context: &Context,
    id: &str,
    url: &str,
    limit: Deadline,
) -> Result<Option<Product>, Failure> {
    let started = Instant::now();
    let reply = match limit.limit(ask(context, url)).await {
        Ok(reply) => reply,
        Err(elapsed) => {
            let is_theirs = started.elapsed() >= fair_wait(context);
            Err(Failure::passing(elapsed.to_string(), is_theirs))
        }
    };
    let status = reply.as_ref().ok().map(Response::status);
    let result = reply.and_then(|reply| read(id, &reply));
    let status = status.as_ref().map_or("", StatusCode::as_str);
    observe(&PRODUCTS, &[label(&result), status], started.elapsed());
    result
}

/// How an attempt is counted.
fn label(result: &Result<Option<Product>, Failure>) -> &'static str {
    match result {
        Ok(Some(_)) => "ok",
        Ok(None) => "not_found",
        Err(Failure::Final(Error::ProductRequestRefused(_))) => "refused",
        Err(Failure::Final(_)) => "invalid",
        Err(Failure::Passing { .. }) => "unavailable",
    }
}

fn read(id: &str, reply: &Response<Bytes>) -> Result<Option<Product>, Failure> {
    let status = reply.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Failure::Passing {
            reason: format!("it answered {status}"),
            retry_after: retry_after(reply.headers()),
            is_theirs: true,
        });
    }
    reply::product(id, reply).map_err(Failure::Final)
}

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
        return Err(invalid("it redirects elsewhere".into()));
    };
    let reply = get(context, &target).await?;
    if reply.status().is_redirection() {
        return Err(invalid("it redirects twice".into()));
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
    let reply = http_client::fetch(request, REPLY_MAX_BYTES).await;
    reply.map_err(|error| match error {
        // It would be as long the next time.
        HttpFailure::TooLong(_) => invalid(error.to_string()),
        HttpFailure::Failed(_) => Failure::passing(error.to_string(), true),
        HttpFailure::NoMemory => Failure::passing(error.to_string(), false),
    })
}

/// How long an attempt must have waited to say something about the product service, and not
/// about a request that had no time left.
fn fair_wait(context: &Context) -> Duration {
    let half = context
        .config
        .request_timeout
        .checked_div(2)
        .unwrap_or_default();
    context.config.product_service.timeout.min(half)
}

/// What the header asks for: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
    let text = text.unwrap_or_default();
    if let Ok(seconds) = text.parse() {
        return Duration::from_secs(seconds);
    }
    let date = DateTime::parse_from_rfc2822(text).ok();
    let wait = date.map(|date| date.with_timezone(&Utc).signed_duration_since(Utc::now()));
    wait.and_then(|wait| wait.to_std().ok()).unwrap_or_default()
}

fn invalid(reason: String) -> Failure {
    Failure::Final(Error::InvalidProductReply(reason))
}

/// The target of a redirect from `url`, if it stays on the same scheme, host and port.
fn same_origin(url: &str, location: &str) -> Option<String> {
    let from = url.parse::<Uri>().ok()?;
    let target = if location.starts_with('/') && !location.starts_with("//") {
        let (scheme, authority) = (from.scheme_str()?, from.authority()?);
        format!("{scheme}://{authority}{location}")
    } else {
        location.to_owned()
    };
    let to = target.parse::<Uri>().ok()?;
    (origin(&to)? == origin(&from)?).then_some(target)
}

/// Credentials, scheme, host and port.
fn origin(uri: &Uri) -> Option<(Option<&str>, &str, String, u16)> {
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let credentials = authority
        .as_str()
        .rsplit_once('@')
        .map(|(before, _)| before);
    let usual_port = if scheme == "https" { 443 } else { 80 };
    let port = authority.port_u16().unwrap_or(usual_port);
    Some((
        credentials,
        scheme,
        authority.host().to_ascii_lowercase(),
        port,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_by_a_date() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.extend(text.parse().map(|value| (RETRY_AFTER, value)));
            retry_after(&headers)
        };
        assert_eq!(asked("7"), Duration::from_secs(7));
        let date = Utc::now() + Duration::from_secs(100);
        let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let wait = asked(&date).as_secs();
        assert!((97..=100).contains(&wait), "{wait} s until {date}");
        for nothing in ["", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(asked(nothing), Duration::ZERO, "{nothing}");
        }
    }

    #[test]
    fn a_redirect_stays_on_its_origin() {
        let from = |location| same_origin("http://products:80/api/products/a", location);
        assert_eq!(from("/b/").as_deref(), Some("http://products:80/b/"));
        assert_eq!(
            from("http://products:80/b").as_deref(),
            Some("http://products:80/b")
        );
        assert!(from("http://products/b").is_some());
        assert!(from("http://Products:80/b").is_some());
        for other in [
            "http://a@products/b",
            "http://products:81/b",
            "/a b",
            "http://elsewhere/b",
            "https://products:80/b",
            "//elsewhere/b",
            "b",
            "",
        ] {
            assert_eq!(from(other), None, "{other}");
        }
    }
}
