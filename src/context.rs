//! What every step of a request needs to know about it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::request::Parts;

use crate::config::Config;
use crate::error::Error;
use crate::platform::time::Deadline;

/// The settings and the time that is left.
#[derive(Debug, Clone)]
pub struct Context {
    pub config: Arc<Config>,
    pub deadline: Deadline,
    /// The header of the request, for the requests made on its behalf.
    pub traceparent: Option<HeaderValue>,
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let context = parts.extensions.get::<Self>().cloned();
        context.ok_or_else(|| Error::Internal("the request has no context".into()))
    }
}
