//! The shape of every JSON response.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LINK, LOCATION};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::app::place::Placed;
use crate::domain::order::OrderDocument;
use crate::domain::problem::Problem;
use crate::error::Error;
#[cfg(test)]
use crate::openapi::schemas;
use crate::telemetry::log::OrderId;

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
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
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    request_id: &'a str,
}

/// The body of an error response.
pub fn error(error: &Error, request_id: &str) -> Vec<u8> {
    let failure = Failure {
        status: "error",
        code: error.code(),
        message: error.message(),
        errors: error.problems(),
        data: error
            .data()
            .and_then(|data| serde_json::from_str(data).ok()),
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
    let mut response = success(status, message, &[&order.json]);
    let headers = response.headers_mut();
    headers.insert(ETAG, header(format!("\"{}\"", order.version))?);
    // The entity tag makes asking again cheap; nobody but the client may keep the order.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.extensions_mut().insert(OrderId(order.id));
    Ok(response)
}

/// The response to a client that has the order already.
pub fn not_modified(known: &OrderDocument) -> Result<Response, Error> {
    let mut response = order(StatusCode::NOT_MODIFIED, None, known)?;
    *response.body_mut() = Body::empty();
    response.headers_mut().remove(CONTENT_TYPE);
    Ok(response)
}

/// The response to a creation, or to its repetition.
pub fn created(placed: &Placed) -> Result<Response, Error> {
    let message = Some("Order created successfully");
    let mut response = order(StatusCode::CREATED, message, &placed.order)?;
    let location = header(format!("/api/orders/{}", placed.order.id))?;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    if placed.is_replay {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// A response with a list that is JSON already, its elements with commas between them.
pub fn list(elements: &str) -> Response {
    listed(&["[", elements, "]"])
}

/// A part of the change feed, and where to go on.
pub fn events(events: &str, next_cursor: &str) -> Response {
    let end = "],\"pagination\":{\"next_cursor\":\"";
    listed(&["[", events, end, next_cursor, "\"}"])
}

/// Order data that nobody may keep.
fn listed(data: &[&str]) -> Response {
    let mut response = success(StatusCode::OK, None, data);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// A response with a page of a list; `next` is the path of the next page.
pub fn page(
    orders: &str,
    pagination: &Pagination,
    next: Option<String>,
) -> Result<Response, Error> {
    let pagination = serde_json::to_string(pagination)?;
    let mut response = listed(&["[", orders, "],\"pagination\":", &pagination]);
    if let Some(next) = next {
        let link = header(format!("<{next}>; rel=\"next\""))?;
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// A response with any other data.
pub fn data<T: Serialize>(status: StatusCode, data: &T) -> Result<Response, Error> {
    let mut response = success(status, None, &[&serde_json::to_string(data)?]);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The envelope around the pieces of `data`, which are JSON already; the message needs no escapes.
fn success(status: StatusCode, message: Option<&'static str>, data: &[&str]) -> Response {
    let message = match message {
        Some(message) => &["\"message\":\"", message, "\","][..],
        None => &[],
    };
    let (start, end) = (&["{\"status\":\"success\","][..], &["}"][..]);
    let body = [start, message, &["\"data\":"], data, end]
        .concat()
        .concat();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub fn header(value: String) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(value).map_err(|error| Error::Internal(error.to_string()))
}
