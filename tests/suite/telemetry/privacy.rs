//! Personal data stays where it belongs: in the database, in the cache's values and in responses.
//!
//! Every field and path of every call is marked, and then the marks are looked for in everything
//! that leaves the service for somebody else's eyes.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use order_service_tests::client::encode;
use order_service_tests::collector::Span;
use reqwest::Method;
use serde_json::json;

use super::traces::Traced;

const USER: &str = "Marked-User-0001";
const ADDRESS: &str = "Marked-Address-0002";
const BILLING: &str = "Marked-Billing-0003";
const NOTES: &str = "Marked-Notes-0004";
const REASON: &str = "Marked-Reason-0005";
const AGENT: &str = "Marked-Agent-0006";
const MARKS: [&str; 6] = [USER, ADDRESS, BILLING, NOTES, REASON, AGENT];

/// The mark as the host would show it inside of a list of bytes.
fn as_bytes(mark: &str) -> String {
    let bytes: Vec<String> = mark.bytes().map(|byte| byte.to_string()).collect();
    bytes.join(", ")
}

#[track_caller]
fn assert_unmarked(place: &str, text: &str) {
    for mark in MARKS {
        let found = text.contains(mark) || text.contains(&as_bytes(mark));
        assert!(!found, "{mark} in {place}: {text}");
    }
}

/// Calls everything, with marks in all fields, also in calls that fail.
async fn call_everything(traced: &Traced) {
    let api = &traced.api;
    let order = json!({
        "user_id": USER,
        "shipping_address": ADDRESS,
        "billing_address": BILLING,
        "notes": NOTES,
        "order_items": [{"product_id": "p1", "quantity": 1}],
    });
    let id = api.order_create(&order).await.success(201).data()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let but = |field: &str, value: serde_json::Value| {
        let mut order = order.clone();
        order[field] = value;
        order
    };
    for (status, body) in [
        (
            422,
            but(
                "order_items",
                json!([{"product_id": "nothing", "quantity": 1}]),
            ),
        ),
        (
            400,
            but("order_items", json!([{"product_id": "p1", "quantity": 0}])),
        ),
        (400, but("notes", json!([NOTES]))),
        (
            400,
            but("shipping_address", json!(format!("{ADDRESS}\u{0}"))),
        ),
        (400, but("billing_address", json!(BILLING.repeat(100)))),
    ] {
        let reply = api.order_create(&body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let cut_off = format!(r#"{{"user_id":"{USER}","notes":"{NOTES}"#);
    let call = api
        .call(Method::POST, "/api/orders")
        .header("content-type", "application/json");
    assert_eq!(call.body(cut_off).send().await.status, 400);
    for _ in 0..2 {
        let call = api
            .call(Method::GET, &format!("/api/orders/{id}"))
            .header("user-agent", AGENT);
        call.header("cookie", AGENT)
            .header("authorization", AGENT)
            .send()
            .await
            .assert_success(200);
    }
    api.order_set_status(&id, "confirmed")
        .await
        .assert_success(200);
    assert_eq!(api.order_set_status(&id, NOTES).await.status, 400);
    api.order_cancel_because(&id, REASON)
        .await
        .assert_success(200);
    assert_eq!(
        api.order_cancel_because(&id, &REASON.repeat(100))
            .await
            .status,
        400
    );
    api.user_orders(USER, "").await.assert_success(200);
    api.order_list(&format!("user_id={}", encode(USER)))
        .await
        .assert_success(200);
    assert_eq!(api.order_get(USER).await.status, 400);
    assert_eq!(api.get(&format!("/{ADDRESS}")).await.status, 404);
    // And while its dependencies fail.
    traced.app.redis.refuse().await;
    api.order_create(&order).await.assert_success(201);
    traced.app.redis.restore().await;
    traced
        .app
        .products
        .set("p1", sample_products::Reply::status(500));
    assert_eq!(api.order_create(&order).await.status, 503);
    traced.app.products.set_price("p1", "10.00");
    traced.app.postgres.refuse().await;
    assert_eq!(api.order_create(&order).await.status, 503);
    traced.app.postgres.restore().await;
    let broken = "alter table orders add constraint marked check (notes is null) not valid";
    traced.app.database.db_execute(broken).await;
    assert_eq!(api.order_create(&order).await.status, 500);
}

#[tokio::test]
async fn personal_data_is_in_no_log_no_metric_no_key_and_no_span() {
    let traced = Traced::start().await;
    call_everything(&traced).await;
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    traced.host.flush_traces().await;

    assert_unmarked("the logs", &traced.host.output().unwrap());
    assert_unmarked("the metrics", &traced.api.get("/metrics").await.text());
    let mut keys = redis::cmd("keys");
    keys.arg(traced.app.redis_key("*"));
    let keys: Vec<String> = traced.app.redis_command(&keys).await;
    assert!(keys.iter().any(|key| key.contains("order:")), "{keys:?}");
    assert_unmarked("the keys of Redis", &keys.join(" "));
    for request in traced.app.products.log().requests() {
        assert_unmarked("a request to the product service", &format!("{request:?}"));
    }
    let mut spans = traced.collector.spans();
    assert!(spans.len() > 50, "{}", spans.len());
    spans.iter_mut().for_each(forget_the_url);
    for span in &spans {
        let shown = (&span.name, &span.attributes);
        assert_unmarked("a span", &format!("{shown:?}"));
    }
}

/// The host notes the URL of each request in its server span, before the component has seen it,
/// and two URLs of the API have a user's id in them. No component can change that; the collector
/// of `k8s/` and of `make up OBSERVE=1` takes it out. Nothing else of the span is forgiven.
fn forget_the_url(span: &mut Span) {
    if span.kind == SpanKind::Server {
        let users = format!("/api/users/{USER}/orders");
        let allowed = [
            ("url.path", users),
            ("url.path", format!("/api/orders/{USER}")),
            ("url.path", format!("/{ADDRESS}")),
            ("url.query", format!("user_id={USER}")),
        ];
        for (name, value) in allowed {
            if span.attribute(name) == value {
                span.attributes.remove(name);
            }
        }
    }
}
