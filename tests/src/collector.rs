//! A collector of traces for one test: takes what a host exports over OTLP (HTTP, protobuf) and
//! keeps it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message as _;
use tokio::task::JoinHandle;

type Spans = Arc<Mutex<Vec<Span>>>;

/// A running collector. Dropping it ends it.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Spans,
    server: JoinHandle<()>,
}

/// A span as it was exported, its ids in hexadecimal.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace_id: String,
    pub span_id: String,
    /// Empty for a root.
    pub parent_id: String,
    pub name: String,
    pub kind: otlp::span::SpanKind,
    pub attributes: BTreeMap<String, String>,
    pub began_ns: u64,
    pub ended_ns: u64,
    /// The name of the service that the span is from.
    pub service: String,
    /// Everything that was exported, for tests that look for what must not be there.
    pub raw: String,
}

impl Collector {
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let spans = Spans::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&spans));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("the address that was bound");
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Self {
            address,
            spans,
            server,
        }
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything received so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.clone()
    }

    /// The spans of one trace.
    #[must_use]
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace_id == trace_id);
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Span {
    /// An attribute, or an empty text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// The call that this is the span of: `postgres`, `redis`, `http`, or nothing.
    #[must_use]
    pub fn dependency(&self) -> &str {
        match self.attribute("db.system") {
            "postgresql" => "postgres",
            "redis" => "redis",
            _ if self.kind == otlp::span::SpanKind::Client
                && !self.attribute("url.full").is_empty() =>
            {
                "http"
            }
            _ => "",
        }
    }
}

async fn take(State(spans): State<Spans>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let is_protobuf = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/x-protobuf");
    match ExportTraceServiceRequest::decode(body) {
        Ok(export) if is_protobuf => {
            let received = export.resource_spans.into_iter().flat_map(of_resource);
            let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
            spans.extend(received);
            StatusCode::OK
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

fn of_resource(exported: otlp::ResourceSpans) -> Vec<Span> {
    let resource = exported.resource.unwrap_or_default();
    let mut service = attributes(&resource.attributes);
    let service = service.remove("service.name").unwrap_or_default();
    let spans = exported
        .scope_spans
        .into_iter()
        .flat_map(|scope| scope.spans);
    spans.map(|span| read(&span, &service)).collect()
}

fn read(span: &otlp::Span, service: &str) -> Span {
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        name: span.name.clone(),
        kind: span.kind(),
        attributes: attributes(&span.attributes),
        began_ns: span.start_time_unix_nano,
        ended_ns: span.end_time_unix_nano,
        service: service.to_owned(),
        raw: format!("{span:?}"),
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|it| it.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    list.iter()
        .map(|attribute| (attribute.key.clone(), text(&attribute.value)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
