//! Traces, in the shape in which Spin exports them.
//!
//! A request has a server span and below it one for the component; every call that the guest
//! makes to Postgres, Redis, its variables or over HTTP has one below that. Without an endpoint
//! to export to there are no spans, and trace context passes through untouched.

mod export;
mod scope;

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{
    SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use self::export::{endpoint_from_environment, traces_url};
pub use self::scope::{Call, Scope};

/// Makes spans and sends them away, or does nothing.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<Tracing>>);

struct Tracing {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    propagator: TraceContextPropagator,
}

impl Telemetry {
    /// Exports to this OTLP endpoint (the full URL for traces), or nowhere.
    ///
    /// # Errors
    ///
    /// The endpoint is not a URL the exporter can use.
    pub fn new(endpoint: Option<&str>) -> anyhow::Result<Self> {
        let Some(endpoint) = endpoint else {
            return Ok(Self(None));
        };
        let provider = export::provider(endpoint)?;
        let tracer = provider.tracer("spin");
        Ok(Self(Some(Arc::new(Tracing {
            tracer,
            provider,
            propagator: TraceContextPropagator::new(),
        }))))
    }

    /// Whether spans are made at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sends what has been collected. Blocks, so it must not run on an async thread.
    pub fn flush(&self) {
        if let Some(tracing) = &self.0 {
            // The sender has told about a failure.
            tracing.provider.force_flush().ok();
        }
    }

    /// The span of an inbound request, below the one its headers name.
    pub fn server_span<B>(&self, request: &http::Request<B>, peer: SocketAddr) -> ServerSpan {
        let Some(tracing) = &self.0 else {
            return ServerSpan(None);
        };
        let parent = tracing
            .propagator
            .extract_with_context(&Context::new(), &Headers(request.headers()));
        let uri = request.uri();
        let mut attributes = vec![
            KeyValue::new("http.request.method", request.method().to_string()),
            KeyValue::new("network.peer.address", peer.ip().to_string()),
            KeyValue::new("network.peer.port", peer.port().to_string()),
            KeyValue::new("network.protocol.name", "http"),
            KeyValue::new("url.path", uri.path().to_owned()),
            KeyValue::new("url.query", uri.query().unwrap_or_default().to_owned()),
            KeyValue::new(
                "url.scheme",
                uri.scheme_str().unwrap_or_default().to_owned(),
            ),
        ];
        if let Some(client) = request
            .headers()
            .get("x-forwarded-for")
            .and_then(|value| value.to_str().ok())
        {
            attributes.push(KeyValue::new("client.address", client.to_owned()));
        }
        let method = request.method().to_string();
        let context = tracing.start(method.clone(), SpanKind::Server, &parent, attributes);
        ServerSpan(Some((context, method)))
    }

    /// A span below another.
    fn span(
        &self,
        name: String,
        kind: SpanKind,
        parent: &Context,
        attributes: Vec<KeyValue>,
    ) -> Option<Context> {
        self.0
            .as_ref()
            .map(|tracing| tracing.start(name, kind, parent, attributes))
    }

    fn inject(&self, context: &Context, headers: &mut HeaderMap) {
        if let Some(tracing) = &self.0 {
            tracing
                .propagator
                .inject_context(context, &mut HeadersMut(headers));
        }
    }
}

impl Tracing {
    fn start(
        &self,
        name: String,
        kind: SpanKind,
        parent: &Context,
        attributes: Vec<KeyValue>,
    ) -> Context {
        let span = self
            .tracer
            .span_builder(name)
            .with_kind(kind)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, parent);
        parent.with_span(span)
    }
}

/// The span of an inbound request; ends when dropped.
pub struct ServerSpan(Option<(Context, String)>);

impl ServerSpan {
    /// The span of the component's work, below this one.
    pub fn component(&self, telemetry: &Telemetry, component: &str) -> Option<Context> {
        let (parent, _) = self.0.as_ref()?;
        telemetry.span(
            format!("execute_wasm_component {component}"),
            SpanKind::Internal,
            parent,
            Vec::new(),
        )
    }

    /// Names the span after its route, once the route is known.
    pub fn set_route(&self, route: &str) {
        if let Some((context, method)) = &self.0 {
            context.span().update_name(format!("{method} {route}"));
            context
                .span()
                .set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
    }

    /// Notes what the client is answered.
    pub fn set_status(&self, status: http::StatusCode) {
        self.set("http.response.status_code", i64::from(status.as_u16()));
    }

    /// Notes why there is no proper answer.
    pub fn fail(&self, error: &str) {
        self.set("error.type", error.to_owned());
        if let Some((context, _)) = &self.0 {
            context.span().set_status(Status::error(error.to_owned()));
        }
    }

    fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some((context, _)) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }
}

impl Drop for ServerSpan {
    fn drop(&mut self) {
        if let Some((context, _)) = &self.0 {
            context.span().end();
        }
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::try_from(key),
            http::HeaderValue::try_from(value),
        ) {
            self.0.insert(name, value);
        }
    }
}
