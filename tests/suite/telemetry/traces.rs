//! Traces over OTLP, received by a collector of the test's own.
//!
//! The spans are the host's. The stand-in makes them in Spin's shape, so these tests run on it
//! whatever host serves the rest of the suite.

use futures_util::future::join_all;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use order_service_tests::bodies::order_of;
use order_service_tests::collector::{Collector, Span};
use order_service_tests::environment::{manifest, repository};
use order_service_tests::{Client, TestApp};
use reqwest::Method;
use spin_standin::{Capture, Output, Running, Standin};

const CLIENT_SPAN: &str = "00f067aa0ba902b7";

/// The service on a host that exports its traces.
pub(super) struct Traced {
    pub app: TestApp,
    pub api: Client,
    pub collector: Collector,
    pub host: Running,
}

impl Traced {
    pub async fn start() -> Self {
        let app = TestApp::start().await;
        let collector = Collector::start().await;
        let host = Standin::new(manifest())
            .runtime_config(repository().join("runtime-config.toml"))
            .output(Output::Captured(Capture::default()))
            .otlp_endpoint(collector.url());
        let host = app
            .variables
            .iter()
            .fold(host, |host, (name, value)| host.variable(name, value));
        let host = host
            .start()
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        // What the app's own host has done is none of this.
        app.postgres.forget();
        app.redis.forget();
        Self {
            api: Client::new(&host.url()),
            app,
            collector,
            host,
        }
    }

    /// Creates an order of one `p1` as part of a trace; returns all spans of it.
    async fn order_created(&self, trace_id: &str) -> Vec<Span> {
        let call = self.api.call(Method::POST, "/api/orders");
        let call = call.header("traceparent", &traceparent(trace_id, "01"));
        let reply = call.json(&order_of(&["p1"])).send().await;
        reply.assert_success(201);
        self.trace(trace_id).await
    }

    /// All spans of a trace, after those that follow the response have ended too.
    async fn trace(&self, trace_id: &str) -> Vec<Span> {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        self.host.flush_traces().await;
        self.collector.trace(trace_id)
    }
}

fn traceparent(trace_id: &str, flags: &str) -> String {
    format!("00-{trace_id}-{CLIENT_SPAN}-{flags}")
}

/// The one span for which this holds.
#[track_caller]
fn only<'a>(spans: &'a [Span], what: &str, holds: impl Fn(&Span) -> bool) -> &'a Span {
    let mut found = spans.iter().filter(|span| holds(span));
    match (found.next(), found.next()) {
        (Some(span), None) => span,
        (first, second) => {
            panic!("one span for {what}, not {first:?} and {second:?} in {spans:#?}")
        }
    }
}

/// Checks the two spans that every request has; returns the component's.
#[track_caller]
fn component_span<'a>(spans: &'a [Span], parent_id: &str) -> &'a Span {
    let server = only(spans, "the server", |span| span.kind == SpanKind::Server);
    assert_eq!(server.parent_id, parent_id, "{server:?}");
    let component = only(spans, "the component", |span| {
        span.name.starts_with("execute_wasm_component")
    });
    assert_eq!(component.parent_id, server.span_id, "{component:?}");
    assert!(server.began_ns <= component.began_ns && component.began_ns <= component.ended_ns);
    component
}

#[tokio::test]
async fn an_order_is_one_trace_from_the_client_to_the_product_service() {
    let traced = Traced::start().await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";

    let spans = traced.order_created(trace_id).await;

    let component = component_span(&spans, CLIENT_SPAN);
    let server = only(&spans, "the server", |span| span.kind == SpanKind::Server);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "201"),
        ("http.route", "/..."),
        ("url.path", "/api/orders"),
    ] {
        assert_eq!(server.attribute(name), value, "{name} of {server:?}");
    }
    assert_eq!(
        (server.name.as_str(), server.service.as_str()),
        ("POST /...", "spin")
    );
    for call in spans.iter().filter(|span| span.kind == SpanKind::Client) {
        assert_eq!(call.parent_id, component.span_id, "{call:?}");
        assert!(
            call.began_ns >= component.began_ns && call.ended_ns >= call.began_ns,
            "{call:?}"
        );
    }

    let product = only(&spans, "the product service", |span| {
        span.dependency() == "http"
    });
    assert_eq!(
        (
            product.name.as_str(),
            product.attribute("http.response.status_code")
        ),
        ("GET", "200")
    );
    let url = format!("{}/api/products/p1/", traced.app.products.url());
    assert_eq!(product.attribute("url.full"), url);
    let request = &traced.app.products.log().requests()[0];
    let received = request.headers.get("traceparent").expect("a traceparent");
    assert_eq!(
        received.to_str().unwrap(),
        format!("00-{trace_id}-{}-01", product.span_id)
    );
}

#[tokio::test]
async fn every_call_of_a_dependency_has_a_span() {
    let traced = Traced::start().await;
    let trace_id = "5bf92f3577b34da6a3ce929d0e0e4736";

    let spans = traced.order_created(trace_id).await;

    let statements = traced.app.postgres.seen();
    assert!(!statements.is_empty());
    for statement in &statements {
        let span = only(&spans, statement, |span| {
            span.attribute("statement").trim() == statement.trim()
        });
        assert_eq!(
            (span.dependency(), span.kind),
            ("postgres", SpanKind::Client)
        );
    }
    let commands = traced.app.redis.seen();
    let redis: Vec<&Span> = spans
        .iter()
        .filter(|span| span.dependency() == "redis")
        .collect();
    let named = |span: &&&Span| {
        commands
            .iter()
            .any(|command| span.name.split(' ').next() == command.split(' ').next())
    };
    assert_eq!(
        redis.iter().filter(named).count(),
        commands.len(),
        "{commands:?} {redis:#?}"
    );
}

#[tokio::test]
async fn requests_at_the_same_time_are_not_mixed_up() {
    let traced = Traced::start().await;
    let trace_ids: Vec<String> = (1..=20).map(|number| format!("{number:032x}")).collect();
    for number in 1..=20 {
        traced
            .app
            .products
            .set_price(&format!("product-{number}"), "1.00");
    }
    let requests = trace_ids.iter().enumerate().map(async |(index, trace_id)| {
        let body = order_of(&[&format!("product-{}", index + 1)]);
        let call = traced
            .api
            .call(Method::POST, "/api/orders")
            .header("traceparent", &traceparent(trace_id, "01"));
        call.json(&body).send().await.assert_success(201);
    });
    join_all(requests).await;

    for (index, trace_id) in trace_ids.iter().enumerate() {
        let spans = match index {
            0 => traced.trace(trace_id).await,
            _ => traced.collector.trace(trace_id),
        };
        let component = component_span(&spans, CLIENT_SPAN);
        let product = only(&spans, "the product service", |span| {
            span.dependency() == "http"
        });
        assert_eq!(product.parent_id, component.span_id);
        let path = format!("/api/products/product-{}/", index + 1);
        assert!(
            product.attribute("url.full").ends_with(&path),
            "{product:?}"
        );
        assert!(
            spans
                .iter()
                .any(|span| span.attribute("statement").contains("order_create")),
            "{spans:#?}"
        );
    }
    let strangers: Vec<Span> = traced
        .collector
        .spans()
        .into_iter()
        .filter(|span| !trace_ids.contains(&span.trace_id))
        .collect();
    assert!(
        strangers.is_empty(),
        "spans without a request: {strangers:#?}"
    );
}

#[tokio::test]
async fn a_context_that_is_not_sampled_is_passed_on_and_not_exported() {
    let traced = Traced::start().await;
    let (silent, loud) = (
        "6bf92f3577b34da6a3ce929d0e0e4736",
        "7bf92f3577b34da6a3ce929d0e0e4736",
    );
    for (trace_id, flags) in [(silent, "00"), (loud, "01")] {
        let call = traced
            .api
            .call(Method::POST, "/api/orders")
            .header("traceparent", &traceparent(trace_id, flags));
        call.json(&order_of(&["p1"]))
            .send()
            .await
            .assert_success(201);
    }

    let exported = traced.trace(loud).await;

    assert!(exported.len() > 4, "{exported:#?}");
    assert!(
        traced
            .collector
            .spans()
            .iter()
            .all(|span| span.trace_id == loud),
        "{:#?}",
        traced.collector.spans()
    );
    let requests = traced.app.products.log().requests();
    let received = requests[0]
        .headers
        .get("traceparent")
        .expect("a traceparent")
        .to_str()
        .unwrap();
    assert!(
        received.starts_with(&format!("00-{silent}-")) && received.ends_with("-00"),
        "{received}"
    );
}

#[tokio::test]
async fn a_request_without_a_context_begins_a_trace() {
    let traced = Traced::start().await;
    traced
        .api
        .order_create(&order_of(&["p1"]))
        .await
        .assert_success(201);
    traced.trace("").await;

    let spans = traced.collector.spans();

    let component = component_span(&spans, "");
    assert!(
        spans.iter().all(|span| span.trace_id == component.trace_id),
        "{spans:#?}"
    );
    let request = &traced.app.products.log().requests()[0];
    let received = request
        .headers
        .get("traceparent")
        .expect("a traceparent")
        .to_str()
        .unwrap();
    assert_eq!(&received[3..35], component.trace_id);
}

#[tokio::test]
async fn without_a_collector_the_product_service_sees_the_context_of_the_client() {
    let app = TestApp::start().await;
    let sent = traceparent("8bf92f3577b34da6a3ce929d0e0e4736", "01");
    let call = app
        .api
        .call(Method::POST, "/api/orders")
        .header("traceparent", &sent);

    call.json(&order_of(&["p1"]))
        .send()
        .await
        .assert_success(201);

    let received = app.products.log().requests()[0]
        .headers
        .get("traceparent")
        .cloned();
    assert_eq!(received.expect("a traceparent").to_str().unwrap(), sent);
}

#[tokio::test]
async fn what_is_no_context_is_not_passed_on() {
    let app = TestApp::start().await;
    let id = "8bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for sent in [
        "no context".to_owned(),
        format!("00-{id}-more"),
        format!("01-{id}-{}", "x".repeat(20_000)),
    ] {
        let call = app
            .api
            .call(Method::POST, "/api/orders")
            .json(&order_of(&["p1"]));
        let reply = call.header("traceparent", &sent).send().await;
        reply.assert_success(201);
    }
    for request in app.products.log().requests() {
        assert_eq!(request.headers.get("traceparent"), None);
    }
}
