//! One JSON line for each request, and one for each degradation, on standard output.
//!
//! Deliberately absent: bodies, addresses, notes, user ids, and paths (which hold them).

use core::cell::RefCell;
use core::str::FromStr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::trace::TraceContext;
use crate::config::Config;
use crate::error::Error;

/// How much a line matters; the least important come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err("must be error, warn, info or debug"),
        }
    }
}

/// The order a request is about, left in its response for the log line.
#[derive(Debug, Clone, Copy)]
pub struct OrderId(pub Uuid);

/// A request that has been answered.
#[derive(Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The template of the path; `None` if no route matched.
    pub route: Option<&'a str>,
    pub status: u16,
    pub duration: Duration,
    pub request_id: &'a str,
    pub trace: Option<&'a TraceContext>,
    pub order_id: Option<OrderId>,
    pub error: Option<&'a Error>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: Level,
    message: &'a str,
    #[serde(flatten)]
    request: Option<RequestFields<'a>>,
}

#[derive(Serialize)]
struct RequestFields<'a> {
    service: &'a str,
    method: &'a str,
    route: Option<&'a str>,
    status: u16,
    duration_ms: f64,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// The causes of a 5xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Writes the line of a request: an error for a 5xx, a warning for one that a dependency
/// caused, information otherwise.
pub fn request(config: &Config, request: &Request<'_>) {
    let level = match request.status {
        502..=504 => Level::Warn,
        500.. => Level::Error,
        _ => Level::Info,
    };
    if level > config.log_level {
        return;
    }
    let failed = request.error.filter(|_| request.status >= 500);
    write(&Line {
        time: now(),
        level,
        message: "request",
        request: Some(RequestFields {
            service: &config.service_name,
            method: request.method,
            route: request.route,
            status: request.status,
            duration_ms: milliseconds(request.duration),
            request_id: request.request_id,
            trace_id: request.trace.map(|trace| trace.trace_id.to_string()),
            span_id: request.trace.map(|trace| trace.span_id.to_string()),
            order_id: request.order_id.map(|order| order.0),
            code: request.error.map(Error::code),
            error: failed.map(Error::detail),
        }),
    });
}

/// How often the same degradation is told, at most, by one instance.
const DEGRADATION_PAUSE: Duration = Duration::from_secs(1);

thread_local! {
    static TOLD: RefCell<BTreeMap<&'static str, Instant>> = const { RefCell::new(BTreeMap::new()) };
}

/// Tells that `what` does not work as it should, though requests still succeed.
pub fn degradation(config: &Config, what: &'static str, cause: &str) {
    if Level::Warn > config.log_level {
        return;
    }
    let now = Instant::now();
    let recent = TOLD.with_borrow_mut(|told| {
        let last = told.get(what).copied();
        let recent = last.is_some_and(|last| now.duration_since(last) < DEGRADATION_PAUSE);
        if !recent {
            told.insert(what, now);
        }
        recent
    });
    if !recent {
        raw(Level::Warn, &format!("{what}: {cause}"));
    }
}

/// Writes a line that belongs to no request.
pub fn raw(level: Level, message: &str) {
    write(&Line {
        time: now(),
        level,
        message,
        request: None,
    });
}

#[expect(clippy::float_arithmetic, reason = "a duration, not money")]
fn milliseconds(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn write(line: &Line<'_>) {
    if let Ok(json) = serde_json::to_string(line) {
        use std::io::Write as _;
        // Without a reader of standard output there is nobody to tell.
        let _ = std::io::stdout()
            .lock()
            .write_all(format!("{json}\n").as_bytes());
    }
}
