//! What the guest is told about a request beyond what the client has sent.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Uri};

use crate::routes::Match;

/// Completes the URI and adds the `spin-*` headers.
///
/// # Errors
///
/// The client names no host or two different ones, or a header is not text.
pub fn prepare<B>(
    mut request: Request<B>,
    route: &Match<'_>,
    peer: SocketAddr,
) -> Result<Request<B>> {
    for (name, value) in request.headers() {
        ensure!(
            str::from_utf8(value.as_bytes()).is_ok(),
            "header {name} is not UTF-8"
        );
    }
    let authority = authority(&request)?;
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", PathAndQuery::as_str)
        .to_owned();
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let full_url = format!("http://{}{path}", host.unwrap_or("localhost"));
    let told = [
        ("spin-path-info", route.rest.clone()),
        ("spin-full-url", full_url),
        ("spin-matched-route", route.route.to_owned()),
        ("spin-base-path", "/".to_owned()),
        ("spin-raw-component-route", route.route.to_owned()),
        ("spin-component-route", route.prefix.to_owned()),
        ("spin-client-addr", peer.to_string()),
    ];
    for (name, value) in told {
        let value = HeaderValue::try_from(value)?;
        request
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
    *request.uri_mut() = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(authority)
        .path_and_query(path)
        .build()?;
    Ok(request)
}

/// The host that the client wants, from the `Host` header or the request line.
fn authority<B>(request: &Request<B>) -> Result<Authority> {
    let header = match request.headers().get(HOST) {
        Some(host) => {
            let host = host.to_str().context("the Host header is not text")?;
            Some(
                host.parse::<Authority>()
                    .context("the Host header is not a host")?,
            )
        }
        None => None,
    };
    let line = request.uri().authority().cloned();
    if let (Some(header), Some(line)) = (&header, &line) {
        ensure!(
            header == line,
            "the Host header contradicts the request line"
        );
    }
    header.or(line).context("the request names no host")
}
