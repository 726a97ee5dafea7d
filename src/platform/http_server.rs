//! Inbound HTTP: the host's request as one that the router understands, and the response back.
//!
//! `spin_sdk::http_service` would do the same, but asks the host for what nobody here wants (scheme,
//! authority, options, length of the body). Each question is a call out of the component, and they
//! were a third of those that a request of `/health` made.

use core::pin::pin;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use spin_sdk::wasip3::http::types::{self, ErrorCode};
use spin_sdk::wasip3::http_compat::{BodyWriter, IncomingRequestBody};

use super::headers::fields;
use super::spawn;

/// Answers a request of the host by `serve`.
///
/// # Errors
/// The request or the response is none that HTTP knows.
pub async fn answer(
    request: types::Request,
    serve: impl AsyncFnOnce(Request) -> Response,
) -> Result<types::Response, ErrorCode> {
    send(serve(receive(request)?).await)
}

fn receive(request: types::Request) -> Result<Request, ErrorCode> {
    let path = request.get_path_with_query().unwrap_or_default();
    let uri = Uri::try_from(path).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    let method = Method::try_from(request.get_method());
    let method = method.map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    let headers = request.get_headers().copy_all();
    // What these methods carry, if anything, has no meaning.
    let body = match method {
        Method::GET | Method::HEAD => Body::empty(),
        _ => Body::new(IncomingRequestBody::new(request)?),
    };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(internal)?;
        let value = HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(internal)?;
        request.headers_mut().append(name, value);
    }
    Ok(request)
}

fn send(response: Response) -> Result<types::Response, ErrorCode> {
    let (parts, mut body) = response.into_parts();
    let headers = fields(&parts.headers).map_err(internal)?;
    let (writer, content, trailers) = BodyWriter::new();
    let content = (!body.is_end_stream()).then_some(content);
    let (response, _) = types::Response::new(headers, content, trailers);
    if parts.status != StatusCode::OK {
        let set = response.set_status_code(parts.status.as_u16());
        set.map_err(|()| internal("a status that is none"))?;
    }
    spawn(async move {
        // A client that goes away is its own business.
        let _ = writer.send_http_body(&mut pin!(&mut body)).await;
    });
    Ok(response)
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
fn internal(error: impl ToString) -> ErrorCode {
    ErrorCode::InternalError(Some(error.to_string()))
}
