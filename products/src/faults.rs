//! A product service that fails at random or takes its time, for those who want to see what
//! happens then.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

/// Longer than the order service waits for one attempt.
const SLOW: Duration = Duration::from_millis(1500);

/// Lets `percent` of all requests but those to `/health` fail, each in one of three ways: refused
/// before anything was done, broken off when it was done, or slow.
pub fn failing(router: Router, percent: u8) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| async move {
        let is_spared = request.uri().path() == "/health" || random(100) >= u64::from(percent);
        let response = match (is_spared, random(3)) {
            (true, _) => next.run(request).await,
            (false, 0) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            (false, 1) => broken_off(next.run(request).await),
            (false, _) => {
                tokio::time::sleep(SLOW).await;
                next.run(request).await
            }
        };
        Ok::<_, Infallible>(response)
    }))
}

/// Lets every request wait first.
pub fn delayed(router: Router, delay: Duration) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| async move {
        tokio::time::sleep(delay).await;
        next.run(request).await
    }))
}

/// The head arrives, the body never does.
fn broken_off(response: Response) -> Response {
    let (head, _) = response.into_parts();
    let broken = stream::iter([Err::<Bytes, _>(io::Error::other("broken off"))]);
    Response::from_parts(head, Body::from_stream(broken))
}

/// A number below `limit`. The standard library seeds its hashers at random.
fn random(limit: u64) -> u64 {
    RandomState::new().build_hasher().finish() % limit
}
