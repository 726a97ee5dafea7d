//! Outbound HTTP. The host pools the connections and checks the address.

use core::cell::Cell;
use core::future::Future;

use axum::body::HttpBody;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use send_wrapper::SendWrapper;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{self, Scheme};
use spin_sdk::wasip3::http_compat::{IncomingResponseBody, http_from_wasi_response};
use spin_sdk::wasip3::wit_future;

use super::headers::{content_length, fields};

/// All but the characters that RFC 3986 leaves unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Bytes of answers that an instance holds at most, all requests together: its memory has a
/// limit, and reaching it would end every request in it.
const HELD_MAX_BYTES: usize = 16 * 1024 * 1024;

thread_local! {
    static HELD_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// A text as one segment of a path.
pub fn encode_segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// No answer came, or only a part of one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpFailure {
    #[error("{0}")]
    Failed(String),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the answers under way fill the memory of the instance")]
    NoMemory,
}

/// Sends a request without a body and reads the whole answer, of `max_bytes` at most; a longer
/// one is left where it is.
pub fn fetch(
    request: Request<()>,
    max_bytes: usize,
) -> impl Future<Output = Result<Response<Bytes>, HttpFailure>> + Send {
    SendWrapper::new(async move {
        let (parts, body) = answer(request).await?.into_parts();
        let body = read(body, content_length(&parts.headers), max_bytes).await?;
        Ok(Response::from_parts(parts, body))
    })
}

/// Sends a request without a body for the status of its answer.
pub fn fetch_status(
    request: Request<()>,
) -> impl Future<Output = Result<StatusCode, HttpFailure>> + Send {
    SendWrapper::new(async move { Ok(answer(request).await?.status()) })
}

/// Sends a request and gives its answer, whose body has not been read. `spin_sdk::http::send`
/// would send an empty body, of which nobody knows beforehand that it is empty: a stream and two
/// tasks in the component, and chunks on the wire.
async fn answer(request: Request<()>) -> Result<Response<IncomingResponseBody>, HttpFailure> {
    let (mut parts, ()) = request.into_parts();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    let headers = fields(&parts.headers).map_err(failed)?;
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let (request, _) = types::Request::new(headers, None, no_trailers, None);
    let scheme = parts.uri.scheme().map(Scheme::from);
    let authority = parts.uri.authority().map(Authority::as_str);
    let path = parts.uri.path_and_query().map(PathAndQuery::as_str);
    let is_set = request
        .set_scheme(scheme.as_ref())
        .and_then(|()| request.set_authority(authority))
        .and_then(|()| request.set_path_with_query(path));
    is_set.map_err(|()| HttpFailure::Failed("the URL is none".into()))?;
    let response = client::send(request).await.map_err(failed)?;
    http_from_wasi_response(response).map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
fn failed(error: impl ToString) -> HttpFailure {
    HttpFailure::Failed(error.to_string())
}

async fn read(
    mut body: impl HttpBody<Data = Bytes, Error: ToString> + Unpin,
    length: Option<usize>,
    max_bytes: usize,
) -> Result<Bytes, HttpFailure> {
    let mut held = Held(0);
    let mut whole = Vec::new();
    while length != Some(whole.len())
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(failed)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if whole.len().saturating_add(data.len()) > max_bytes {
            return Err(HttpFailure::TooLong(max_bytes));
        }
        held.add(data.len())?;
        whole.extend_from_slice(data);
    }
    Ok(whole.into())
}

/// Bytes of one answer, held until it has been read or given up.
struct Held(usize);

impl Held {
    fn add(&mut self, bytes: usize) -> Result<(), HttpFailure> {
        let all = HELD_BYTES.get().saturating_add(bytes);
        if all > HELD_MAX_BYTES {
            return Err(HttpFailure::NoMemory);
        }
        HELD_BYTES.set(all);
        self.0 = self.0.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD_BYTES.set(HELD_BYTES.get().saturating_sub(self.0));
    }
}
