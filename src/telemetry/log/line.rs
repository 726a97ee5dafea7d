//! An entry of the log as a line of JSON.

use core::time::Duration;

use axum::extract::MatchedPath;
use chrono::SecondsFormat;
use serde::Serialize;
use uuid::Uuid;

use super::{Content, Entry, Level, Request};

#[derive(Serialize)]
pub struct Line<'a> {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> From<&'a Entry> for Line<'a> {
    fn from(entry: &'a Entry) -> Self {
        let (message, request) = match &entry.content {
            Content::Message(message) => (message.as_str(), None),
            Content::Request(request) => ("request", Some(RequestFields::from(request))),
        };
        Self {
            time: entry.time.to_rfc3339_opts(SecondsFormat::Millis, true),
            level: entry.level,
            message,
            request,
        }
    }
}

impl<'a> From<&'a Request> for RequestFields<'a> {
    fn from(request: &'a Request) -> Self {
        let trace = request.trace.as_ref();
        let failure = request.failure.as_ref();
        Self {
            service: &request.config.service_name,
            method: request.method.as_str(),
            route: request.route.as_ref().map(MatchedPath::as_str),
            status: request.status.as_u16(),
            duration_ms: milliseconds(request.duration),
            request_id: &request.request_id,
            trace_id: trace.map(|trace| trace.trace_id.to_string()),
            span_id: trace.map(|trace| trace.span_id.to_string()),
            order_id: request.order_id.map(|order| order.0),
            code: failure.map(|failure| failure.code),
            error: failure.and_then(|failure| failure.detail.as_deref()),
        }
    }
}

#[expect(clippy::float_arithmetic, reason = "a duration, not money")]
fn milliseconds(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}
