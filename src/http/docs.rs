//! `/openapi.json` and `/docs`: the description of the API, for programs and for people.
//!
//! The component carries the files compressed (`build.rs`). A folder mounted by spin.toml would
//! cost every request of every route, because Spin prepares mounts anew for each.

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderValue, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, StatusCode};

use super::envelope;
use super::extract::lines;
use super::gzip::{self, Gzip};
use crate::domain::preconditions::Preconditions;
use crate::error::Error;

macro_rules! gzip {
    ($name:literal) => {
        Gzip(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")))
    };
}

/// Made by the tests from the service's types; `make openapi` writes it.
const DOCUMENT: Gzip = gzip!("openapi.json");
const PAGE: Gzip = gzip!("index.html");

const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const PNG: HeaderValue = HeaderValue::from_static("image/png");

/// A file that the page needs, with its type.
fn page_part(name: &str) -> Option<(Gzip, HeaderValue)> {
    Some(match name {
        "favicon-32x32.png" => (gzip!("favicon-32x32.png"), PNG),
        "init.js" => (gzip!("init.js"), JAVASCRIPT),
        "swagger-ui-bundle.js" => (gzip!("swagger-ui-bundle.js"), JAVASCRIPT),
        "swagger-ui.css" => (gzip!("swagger-ui.css"), CSS),
        _ => return None,
    })
}

/// The page runs its own scripts only and talks to its own host only. Swagger UI's icons are
/// `data:` URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Asked for again each time, answered with 304 as long as it is the same.
const REVALIDATE: HeaderValue = HeaderValue::from_static("public, no-cache");
/// The package's files change with a release only.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

pub async fn openapi(headers: HeaderMap) -> Result<Response, Error> {
    file(&headers, envelope::JSON, REVALIDATE, DOCUMENT)
}

pub async fn page(headers: HeaderMap) -> Result<Response, Error> {
    let mut response = file(&headers, HTML, REVALIDATE, PAGE)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}

pub async fn page_file(
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let name = name.map_err(|_| Error::NotFound)?;
    let (content, content_type) = page_part(&name).ok_or(Error::NotFound)?;
    file(&headers, content_type, AN_HOUR, content)
}

/// The file, compressed for who takes it so, or 304 if the client has it already.
fn file(
    request: &HeaderMap,
    content_type: HeaderValue,
    cache: HeaderValue,
    content: Gzip,
) -> Result<Response, Error> {
    let compressed = gzip::is_accepted(request);
    // Different bytes need a different tag.
    let suffix = if compressed { "-gzip" } else { "" };
    let tag = format!("{}{suffix}", content.checksum());
    let known = Preconditions::read(&[], &lines(request, IF_NONE_MATCH)).is_known(&tag);
    let mut response = Response::new(match (known, compressed) {
        (true, _) => Body::empty(),
        (false, true) => Body::from(content.0),
        (false, false) => Body::from(content.content()?),
    });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
    headers.insert(ETAG, envelope::header(format!("\"{tag}\""))?);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(CONTENT_TYPE, content_type);
    if compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
