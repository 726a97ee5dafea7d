//! HTTP: from a request to a handler, and from its result to a response.

pub mod cors;
pub mod docs;
pub mod envelope;
pub mod events;
pub mod extract;
pub mod guard;
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
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, StatusCode};
use tower_service::Service as _;

use self::cors::Page;
use self::routing::Route;
use crate::config::{Config, Level};
use crate::context::Context;
use crate::error::Error;
use crate::limits::Standing;
use crate::platform::random;
use crate::platform::time::Deadline;
use crate::telemetry::trace::TraceContext;
use crate::telemetry::{self, log};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-content-type-options"),
    HeaderValue::from_static("nosniff"),
);

/// Nothing here is a page, but for `/docs`, which has a policy of its own.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Answers one request: routes it, turns an error into its envelope, and notes it for the log.
pub async fn serve(request: Request, routes: &[Route]) -> Response {
    let (started, started_at) = (Instant::now(), SystemTime::now());
    let request_id = request_id(request.headers(), started_at);
    let trace = TraceContext::from_headers(request.headers());
    let method = request.method().clone();
    let operation = routing::find(routes, method.as_str(), request.uri().path());
    let route = operation.or_else(|| routing::at(routes, request.uri().path()));

    let config = match Config::get().await {
        Ok(config) => config,
        Err(error) => {
            log::raw(Level::Error, &error.to_string());
            let error = match request.uri().path() {
                "/ready" => Error::NotSetUp(error),
                _ => Error::Misconfigured(error),
            };
            return finish(error.into_response(), &request_id, &method);
        }
    };
    let context = Context {
        deadline: Deadline::at(started, config.request_timeout),
        config: config.clone(),
        traceparent: trace.and(request.headers().get("traceparent")).cloned(),
    };
    let origins = config
        .callers
        .as_ref()
        .ok()
        .and_then(|it| it.origins.as_ref());
    let page = origins.map(|origins| (origins, Page::of(&method, request.headers())));
    let response = answer(request, context, operation, route, routes).await;
    let response = match page {
        Some((origins, page)) => page.answer(origins, response),
        None => response,
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
        route: route.map(|route| route.path),
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

/// Leaves a request to its handler, if the guard lets it through. A method that the path does not
/// have finds no operation and needs no guard: its refusal is all there is.
async fn answer(
    mut request: Request,
    context: Context,
    operation: Option<&Route>,
    route: Option<&Route>,
    routes: &[Route],
) -> Response {
    if let Err(error) = guard::check_size(request.uri(), request.headers()) {
        return error.into_response();
    }
    if route.is_some_and(|route| guard::is_hidden(&context, route.access)) {
        return Error::NotFound.into_response();
    }
    let mut standing = None;
    if let Some(operation) = operation {
        let verdict = guard::judge(&context, operation, request.headers()).await;
        standing = verdict.standing;
        match verdict.caller {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(error) => return with_standing(error.into_response(), standing),
        };
    }
    request.extensions_mut().insert(context);
    let response = match routing::router(routes).call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    with_standing(response, standing)
}

fn with_standing(mut response: Response, standing: Option<Standing>) -> Response {
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
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
        let (retry_after, challenge) = (error.retry_after_s(), error.challenge());
        let length = body.len();
        // The answer to HEAD has the headers of the answer to GET, but no body.
        *response.body_mut() = match *method {
            Method::HEAD => Body::empty(),
            _ => Body::from(body),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(CONTENT_TYPE, envelope::JSON);
        // What is not there for this caller may be there for the next.
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    let not_modified = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    if not_modified {
        // The router has measured the body that is left out.
        headers.remove(CONTENT_LENGTH);
    }
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}
