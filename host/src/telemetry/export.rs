//! Sending spans to a collector: OTLP over HTTP, as protobuf.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tokio::time::timeout;
use wasmtime_wasi::async_trait;

const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The URL to send traces to, from the variables that OpenTelemetry has for it, or none.
#[must_use]
pub fn endpoint_from_environment() -> Option<String> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if set("OTEL_SDK_DISABLED").is_some() {
        return None;
    }
    set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        .or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| traces_url(&base)))
}

/// Where a collector at this base URL takes traces.
#[must_use]
pub fn traces_url(base: &str) -> String {
    format!("{}/v1/traces", base.trim_end_matches('/'))
}

/// A provider of tracers whose spans go to this URL. Must be called on a Tokio runtime.
pub fn provider(url: &str) -> Result<SdkTracerProvider> {
    url.parse::<http::Uri>()
        .ok()
        .filter(|url| url.scheme_str() == Some("http"))
        .with_context(|| {
            format!("the OTLP endpoint {url:?} is not an http:// URL, the stand-in has no TLS")
        })?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender::new())
        .with_endpoint(url)
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(exporter)
        .build())
}

/// Who the spans are from. Like Spin's own, they are from `spin` unless the environment names
/// a service.
fn resource() -> Resource {
    let environment = Resource::builder_empty()
        .with_detectors(&[
            Box::new(EnvResourceDetector::new()),
            Box::new(TelemetryResourceDetector),
        ])
        .build();
    let service = env::var("OTEL_SERVICE_NAME")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| {
            environment
                .get(&Key::from_static_str("service.name"))
                .map_or_else(|| "spin".to_owned(), |name| name.to_string())
        });
    let attributes: Vec<_> = environment
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .collect();
    Resource::builder_empty()
        .with_attributes(attributes)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_service_name(service)
        .build()
}

/// Sends a batch. The exporter calls it from a thread of its own, so the work is handed to the
/// runtime that the connections live on.
#[derive(Debug)]
struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
    /// Whether the last batch got lost: an outage is told once.
    failing: AtomicBool,
}

impl Sender {
    fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            runtime: Handle::current(),
            failing: AtomicBool::new(false),
        }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = async move {
            let response = client.request(request.map(Full::new)).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(parts, body))
        };
        self.runtime
            .spawn(async move { timeout(SEND_TIMEOUT, sending).await })
            .await??
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request).await;
        let failed = match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector answers {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        let failed_before = self.failing.swap(failed.is_some(), Ordering::Relaxed);
        if let Some(reason) = failed
            && !failed_before
        {
            eprintln!("spin-standin: traces are lost: {reason}");
        }
        sent
    }
}
