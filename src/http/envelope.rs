//! The shape of every JSON response.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, LINK, LOCATION};
use serde::Serialize;

use crate::domain::order::OrderDocument;
use crate::domain::problem::Problem;
use crate::error::Error;
#[cfg(test)]
use crate::openapi::schemas;
use crate::telemetry::log::OrderId;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where a page stands in its list.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Pagination {
    /// Absent when the page was reached by a cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false, minimum = 1))]
    pub page: Option<u32>,
    #[cfg_attr(test, schema(schema_with = schemas::page_size))]
    pub page_size: u32,
    /// Orders in the whole list.
    pub total: u64,
    pub total_pages: u64,
    /// Null on the last page.
    #[cfg_attr(test, schema(required))]
    pub next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Failure<'a> {
    status: &'static str,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Problem],
    request_id: &'a str,
}

/// The body of an error response.
pub fn error(error: &Error, request_id: &str) -> Vec<u8> {
    let failure = Failure {
        status: "error",
        code: error.code(),
        message: error.message(),
        errors: error.problems(),
        request_id,
    };
    // Strings and lists of strings always serialize.
    serde_json::to_vec(&failure).unwrap_or_default()
}

/// A response with one order.
pub fn order(
    status: StatusCode,
    message: Option<&'static str>,
    order: &OrderDocument,
) -> Result<Response, Error> {
    let mut response = success(status, message, &order.json);
    let headers = response.headers_mut();
    headers.insert(ETAG, header(format!("\"{}\"", order.version))?);
    // The entity tag makes asking again cheap; nobody but the client may keep the order.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.extensions_mut().insert(OrderId(order.id));
    Ok(response)
}

/// The response to a creation.
pub fn created(order_document: &OrderDocument) -> Result<Response, Error> {
    let message = Some("Order created successfully");
    let mut response = order(StatusCode::CREATED, message, order_document)?;
    let location = header(format!("/api/orders/{}", order_document.id))?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// A response with a page of a list; `next` is the path of the next page.
pub fn page(
    orders: &str,
    pagination: &Pagination,
    next: Option<String>,
) -> Result<Response, Error> {
    let pagination = serde_json::to_string(pagination)?;
    let data = format!("[{orders}],\"pagination\":{pagination}");
    let mut response = success(StatusCode::OK, None, &data);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Some(next) = next {
        headers.insert(LINK, header(format!("<{next}>; rel=\"next\""))?);
    }
    Ok(response)
}

/// A response with any other data.
pub fn data<T: Serialize>(status: StatusCode, data: &T) -> Result<Response, Error> {
    let mut response = success(status, None, &serde_json::to_string(data)?);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The envelope around `data`, which is JSON already; the message needs no escapes.
fn success(status: StatusCode, message: Option<&'static str>, data: &str) -> Response {
    let message = match message {
        Some(message) => format!("\"message\":\"{message}\","),
        None => String::new(),
    };
    let body = format!("{{\"status\":\"success\",{message}\"data\":{data}}}");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub fn header(value: String) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(value).map_err(|error| Error::Internal(error.to_string()))
}
