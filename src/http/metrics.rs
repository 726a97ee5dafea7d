//! `/metrics`: the sums over all replicas, so scrape one of them, not each.

use axum::response::Response;
use futures_util::future::join;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};

use crate::context::Context;
use crate::error::Error;
use crate::telemetry::log;
use crate::telemetry::metrics::text::{Format, render};
use crate::telemetry::metrics::{gauges, sums};

pub async fn metrics(context: Context, headers: HeaderMap) -> Result<Response, Error> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let (counts, gauges) = join(sums(&context), gauges::read(&context)).await;
    let gauges = gauges.map_err(|error| {
        log::degradation(
            &context.config,
            "no gauges from the database",
            &error.to_string(),
        );
    });
    let text = render(format, counts.as_ref(), gauges.ok().as_ref());
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(format.content_type()),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
