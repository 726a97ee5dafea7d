//! Outbound HTTP. The host pools the connections and checks the address.

use core::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use send_wrapper::SendWrapper;
use spin_sdk::http::{EmptyBody, send};

/// All but the characters that RFC 3986 leaves unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text as one segment of a path.
pub fn encode_segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// No answer came, or only a part of one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct HttpFailure(String);

/// Sends a request without a body and reads the whole answer, of `max_bytes` at most.
pub fn fetch(
    request: Request<()>,
    max_bytes: usize,
) -> impl Future<Output = Result<Response<Bytes>, HttpFailure>> + Send {
    SendWrapper::new(async move {
        let request = request.map(|()| EmptyBody::new());
        let response = send(request)
            .await
            .map_err(|error| HttpFailure(error.to_string()))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, max_bytes)
            .collect()
            .await
            .map_err(|error| HttpFailure(error.to_string()))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    })
}
