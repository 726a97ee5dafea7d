//! HTTP: from a request to a handler, and from its result to a response.

pub mod docs;
pub mod envelope;
pub mod events;
pub mod extract;
pub mod gzip;
pub mod health;
pub mod metrics;
pub mod orders;
pub mod page;
pub mod routing;
pub mod users;

use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use tower_service::Service as _;

use self::routing::Route;
use crate::config::{Config, Level};
use crate::context::Context;
use crate::error::Error;
use crate::platform::random;
use crate::platform::time::Deadline;
use crate::telemetry::trace::TraceContext;
use crate::telemetry::{self, log};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-content-type-options"),
    HeaderValue::from_static("nosniff"),
);

/// Answers one request: routes it, turns an error into its envelope, and notes it for the log.
pub async fn serve(mut request: Request, routes: &[Route]) -> Response {
    let (started, started_at) = (Instant::now(), SystemTime::now());
    let request_id = request_id(request.headers(), started_at);
    let trace = TraceContext::from_headers(request.headers());
    let method = request.method().clone();
    let route = routing::template(routes, request.uri().path());

    let config = match Config::get().await {
        Ok(config) => config,
        Err(error) => {
            log::raw(Level::Error, &error.to_string());
            return finish(Error::from(error).into_response(), &request_id, &method);
        }
    };
    let context = Context {
        deadline: Deadline::at(started, config.request_timeout),
        config: config.clone(),
        traceparent: request.headers().get("traceparent").cloned(),
    };
    request.extensions_mut().insert(context);

    let result = routing::router(routes).call(request).await;
    let response = match result {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let response = finish(response, &request_id, &method);
    let extensions = response.extensions();
    let duration = started.elapsed();
    let answered = log::Request {
        config,
        time: started_at
            .checked_add(duration)
            .unwrap_or(started_at)
            .into(),
        method,
        route,
        status: response.status(),
        duration,
        request_id,
        trace,
        order_id: extensions.get::<log::OrderId>().copied(),
        failure: extensions.get::<Error>().cloned(),
    };
    telemetry::answered(answered).await;
    response
}

/// The client's id if it is fit for a header and a log line, else a new one.
fn request_id(headers: &HeaderMap, now: SystemTime) -> String {
    headers
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
        .map_or_else(|| random::request_id(now).to_string(), str::to_owned)
}

/// What every response has: the envelope of an error, the request's id, and safe headers.
fn finish(mut response: Response, request_id: &str, method: &Method) -> Response {
    if let Some(error) = response.extensions().get::<Error>() {
        let body = envelope::error(error, request_id);
        let retry_after = error.retry_after_s();
        let length = body.len();
        // The answer to HEAD has the headers of the answer to GET, but no body.
        *response.body_mut() = match *method {
            Method::HEAD => Body::empty(),
            _ => Body::from(body),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(CONTENT_TYPE, envelope::JSON);
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
    let not_modified = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    if not_modified {
        // The router has measured the body that is left out.
        headers.remove(CONTENT_LENGTH);
    }
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}
