//! One JSON line for each request, and one for each degradation, on the component's standard output. Spin
//! and the Kubernetes shim pass it on on standard error.
//!
//! A line that is more than information is written at once, after all that waited.
//!
//! Deliberately absent: bodies, addresses, notes, user ids, and paths (which hold them).

use core::cell::RefCell;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};
use http::{Method, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::trace::TraceContext;
use crate::config::{Config, Level};
use crate::error::Error;

/// How often the same degradation is told, at most, by one instance.
const DEGRADATION_PAUSE: Duration = Duration::from_secs(1);

/// The order a request is about, left in its response for the log line.
#[derive(Debug, Clone, Copy)]
pub struct OrderId(pub Uuid);

/// A request that has been answered.
#[derive(Debug)]
pub struct Request {
    pub config: Arc<Config>,
    /// When it was answered.
    pub time: DateTime<Utc>,
    pub method: Method,
    /// The template of the path; `None` if no route matched.
    pub route: Option<&'static str>,
    pub status: StatusCode,
    pub duration: Duration,
    pub request_id: String,
    pub trace: Option<TraceContext>,
    pub order_id: Option<OrderId>,
    /// Why it was refused.
    pub failure: Option<Error>,
}

/// A line that belongs to no request.
#[derive(Serialize)]
struct Remark<'a> {
    time: String,
    level: Level,
    message: &'a str,
}

/// The line of a request.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: Level,
    message: &'static str,
    service: &'a str,
    method: &'a str,
    route: Option<&'static str>,
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
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Request {
    /// An error for a 5xx, a warning for one that a dependency caused, information otherwise and
    /// for what was to be expected.
    pub fn level(&self) -> Level {
        match self.status.as_u16() {
            _ if self.failure.as_ref().is_some_and(Error::is_expected) => Level::Info,
            502..=504 => Level::Warn,
            500.. => Level::Error,
            _ => Level::Info,
        }
    }

    /// Adds the line of the request, if the service is to be that talkative.
    pub fn write_line(&self, lines: &mut Vec<u8>) {
        if self.level() > self.config.log_level {
            return;
        }
        let failure = self.failure.as_ref();
        let line = Line {
            time: timestamp(self.time),
            level: self.level(),
            message: "request",
            service: &self.config.service_name,
            method: self.method.as_str(),
            route: self.route,
            status: self.status.as_u16(),
            duration_ms: milliseconds(self.duration),
            request_id: &self.request_id,
            trace_id: self.trace.map(|trace| trace.trace_id.to_string()),
            span_id: self.trace.map(|trace| trace.span_id.to_string()),
            order_id: self.order_id.map(|order| order.0),
            code: failure.map(Error::code),
            error: failure.filter(|it| it.is_told()).map(Error::detail),
        };
        add(lines, &line);
    }
}

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

/// Tells something that belongs to no request, at once.
pub fn raw(level: Level, message: &str) {
    super::settle();
    let remark = Remark {
        time: timestamp(Utc::now()),
        level,
        message,
    };
    let mut line = Vec::new();
    add(&mut line, &remark);
    write(&line);
}

/// Writes lines to standard output.
pub fn write(lines: &[u8]) {
    if !lines.is_empty() {
        // Without a reader of standard output there is nobody to tell.
        let _ = std::io::stdout().lock().write_all(lines);
    }
}

fn add(lines: &mut Vec<u8>, line: &impl Serialize) {
    let end = lines.len();
    match serde_json::to_writer(&mut *lines, line) {
        Ok(()) => lines.push(b'\n'),
        Err(_) => lines.truncate(end),
    }
}

fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[expect(clippy::float_arithmetic, reason = "a duration, not money")]
fn milliseconds(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}
