//! `/openapi.json` and `/docs`: the description of the API, for programs and for people.
//!
//! The page's files are mounted by spin.toml rather than compiled in, so that the component
//! stays small.

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
};
use http::{HeaderMap, StatusCode};

use super::envelope;
use crate::error::Error;

/// Made by the tests from the service's types; `make openapi` writes it.
const DOCUMENT: &[u8] = include_bytes!("../../openapi.json");

/// Where spin.toml mounts the page's files.
const FOLDER: &str = "/docs";

/// The files that the page needs, with their types. Nothing else of the folder is served.
const FILES: [(&str, &str); 4] = [
    ("favicon-32x32.png", "image/png"),
    ("init.js", "text/javascript; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
];

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
    let document = Bytes::from_static(DOCUMENT);
    file(&headers, envelope::JSON, REVALIDATE, document)
}

pub async fn page(headers: HeaderMap) -> Result<Response, Error> {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = file(&headers, html, REVALIDATE, read("index.html")?)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}

pub async fn page_file(name: Path<String>, headers: HeaderMap) -> Result<Response, Error> {
    let known = FILES.iter().find(|(known, _)| *known == name.as_str());
    let (name, content_type) = known.ok_or(Error::NotFound)?;
    let content_type = HeaderValue::from_static(content_type);
    file(&headers, content_type, AN_HOUR, read(name)?)
}

fn read(name: &str) -> Result<Bytes, Error> {
    let content = std::fs::read(format!("{FOLDER}/{name}"));
    content
        .map(Bytes::from)
        .map_err(|error| Error::Internal(format!("{FOLDER}/{name}: {error}")))
}

/// The file, or 304 if the client has it already.
fn file(
    request: &HeaderMap,
    content_type: HeaderValue,
    cache: HeaderValue,
    content: Bytes,
) -> Result<Response, Error> {
    let tag = format!("\"{:08x}\"", crc32fast::hash(&content));
    let known = request.get_all(IF_NONE_MATCH).iter().any(|tags| {
        let mut tags = tags.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    });
    let mut response = Response::new(if known {
        Body::empty()
    } else {
        Body::from(content)
    });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(ETAG, envelope::header(tag)?);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, content_type);
    }
    Ok(response)
}
