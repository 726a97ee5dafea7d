//! Pages of other origins that may call (the Fetch standard's CORS). None may unless
//! `cors_allowed_origins` names them. Callers show tokens of their own accord, never cookies, so
//! credentials are not allowed.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, StatusCode};

use crate::config::origins::Origins;
use crate::error::Error;

/// What a page may send beyond what every page may.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, traceparent, x-request-id",
);
/// What a page may read beyond what every page may.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag, idempotent-replayed, link, location, ratelimit, ratelimit-policy, retry-after, x-request-id",
);
/// How long a browser need not ask again, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What a request says about the page that sends it.
#[derive(Debug)]
pub struct Page {
    origin: Option<HeaderValue>,
    /// Whether a browser asks beforehand what the page may do.
    preflight: bool,
}

impl Page {
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let origin = headers.get(ORIGIN).cloned();
        Self {
            preflight: *method == Method::OPTIONS
                && origin.is_some()
                && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD),
            origin,
        }
    }

    /// Adds to the response what the browser has to know. A preflight is answered with the
    /// methods of its path, which the router has told in refusing `OPTIONS`.
    pub fn answer(&self, origins: &Origins, mut response: Response) -> Response {
        let origin = self.origin.as_ref();
        if let Some(allowed) = origin.and_then(|origin| origins.allow(origin)) {
            if self.preflight && response.status() == StatusCode::METHOD_NOT_ALLOWED {
                response = preflight(response);
            } else {
                let headers = response.headers_mut();
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
            }
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        }
        // The same path answers other origins otherwise.
        response
            .headers_mut()
            .append(VARY, HeaderValue::from_static("origin"));
        response
    }
}

fn preflight(refusal: Response) -> Response {
    let (mut parts, _) = refusal.into_parts();
    let methods = parts.headers.remove(ALLOW);
    parts.extensions.remove::<Error>();
    let mut response = Response::from_parts(parts, Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Some(methods) = methods {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}
