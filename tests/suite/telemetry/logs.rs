//! Log lines: one for each request, one now and then for each degradation.

use std::collections::BTreeSet;

use order_service_tests::bodies::order_of;
use order_service_tests::{TestApp, wait};
use reqwest::Method;
use serde_json::Value;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

/// The lines of JSON that the host has printed so far.
fn lines(app: &TestApp) -> Vec<Value> {
    let output = app.host.output();
    let lines = output.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The line of the request with this id, once it is there.
async fn line_of(app: &TestApp, request_id: &str) -> Value {
    wait::eventually("the request has its line", async || {
        lines(app)
            .into_iter()
            .find(|line| line["request_id"] == request_id)
    })
    .await
}

fn names(line: &Value) -> BTreeSet<&str> {
    let fields = line
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    fields.map(String::as_str).collect()
}

#[tokio::test]
async fn a_request_is_one_line_with_its_fields() {
    let app = TestApp::start().await;
    let order = app.an_order_id().await;
    let reply = app
        .api
        .call(Method::GET, &format!("/api/orders/{order}"))
        .header("x-request-id", "req-1")
        .header("traceparent", &format!("00-{TRACE_ID}-{SPAN_ID}-01"))
        .send()
        .await
        .success(200);

    let line = line_of(&app, "req-1").await;

    let expected = [
        "time",
        "level",
        "message",
        "service",
        "method",
        "route",
        "status",
        "duration_ms",
        "request_id",
        "trace_id",
        "span_id",
        "order_id",
    ];
    assert_eq!(names(&line), BTreeSet::from(expected), "{line}");
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    assert_eq!(line["level"], "info");
    assert_eq!(line["service"], "order-service");
    assert_eq!(
        (&line["method"], &line["route"]),
        (&"GET".into(), &"/api/orders/{id}".into())
    );
    assert_eq!(line["status"], 200);
    assert_eq!(
        (&line["trace_id"], &line["order_id"]),
        (&TRACE_ID.into(), &order.into())
    );
    let duration_ms = line["duration_ms"].as_f64().unwrap();
    assert!(
        duration_ms > 0.0 && duration_ms <= reply.elapsed.as_secs_f64() * 1000.0,
        "{line}"
    );
}

#[tokio::test]
async fn every_request_has_one_line() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for (status, reply) in [
        (201, app.api.order_create(&order_of(&["p1"])).await),
        (422, app.api.order_create(&order_of(&["nothing"])).await),
        (400, app.api.order_get("nothing").await),
        (404, app.api.get("/nothing").await),
        (
            405,
            app.api.call(Method::DELETE, "/api/orders").send().await,
        ),
        (200, app.api.call(Method::HEAD, "/health").send().await),
    ] {
        assert_eq!(reply.status, status);
        let request_id = reply.header("x-request-id").unwrap().to_owned();
        expected.push((request_id, u64::from(status)));
    }

    line_of(&app, &expected.last().unwrap().0).await;

    for (request_id, status) in expected {
        let lines: Vec<Value> = lines(&app)
            .into_iter()
            .filter(|line| line["request_id"] == *request_id)
            .collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["status"], status);
        assert_eq!(
            lines[0]["level"], "info",
            "a client's mistake is none of the service"
        );
        assert_eq!(
            lines[0].get("error"),
            None,
            "causes are for what the service is to blame for"
        );
    }
}

#[tokio::test]
async fn a_malformed_traceparent_is_ignored() {
    let app = TestApp::start().await;
    for (number, traceparent) in [
        "00-zz-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    ]
    .into_iter()
    .enumerate()
    {
        let request_id = format!("req-{number}");
        let call = app
            .api
            .call(Method::GET, "/health")
            .header("x-request-id", &request_id);
        call.header("traceparent", traceparent)
            .send()
            .await
            .assert_success(200);

        let line = line_of(&app, &request_id).await;

        assert_eq!(line.get("trace_id"), None, "{line}");
    }
}

/// Makes the total of lists larger than any number, which is a fault of the service.
const NO_TOTAL: &str = "
    insert into order_counts
    select 'pending', shard, 9223372036854775807 from generate_series(1, 2) as shard";

#[tokio::test]
async fn a_failure_has_its_causes_and_the_client_has_not() {
    let app = TestApp::start().await;
    app.database.db_execute(NO_TOTAL).await;

    let reply = app.api.order_list("").await;

    let line = line_of(&app, reply.header("x-request-id").unwrap()).await;
    assert_eq!((reply.status, line["status"].as_u64()), (500, Some(500)));
    assert_eq!(
        (&line["level"], &line["code"]),
        (&"error".into(), &"internal_error".into())
    );
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("bigint out of range"), "{error}");
    reply.assert_error(500, "internal_error");
}

#[tokio::test]
async fn a_dependency_that_fails_is_a_warning() {
    let app = TestApp::start().await;
    app.products.stop();

    let reply = app.api.order_create(&order_of(&["p1"])).await;

    let line = line_of(&app, reply.header("x-request-id").unwrap()).await;
    assert_eq!(
        (&line["level"], &line["status"]),
        (&"warn".into(), &503.into())
    );
    assert_eq!(line["code"], "product_service_unavailable");
    assert!(!line["error"].as_str().unwrap().is_empty(), "{line}");
}

#[tokio::test]
async fn a_degradation_is_told_at_most_once_a_second() {
    let app = TestApp::start().await;
    let order = app.an_order_id().await;
    app.redis.refuse().await;
    let began_at = std::time::Instant::now();
    for _ in 0..40 {
        app.api.order_get(&order).await.assert_success(200);
    }
    let seconds = began_at.elapsed().as_secs() + 1;

    let lines = wait::eventually("somebody hears of it", async || {
        let mut lines = lines(&app);
        lines.retain(|line| line.get("request_id").is_none());
        (!lines.is_empty()).then_some(lines)
    })
    .await;

    let cache: Vec<&Value> = lines
        .iter()
        .filter(|line| line["message"].as_str().unwrap().contains("cache"))
        .collect();
    assert!(!cache.is_empty(), "{lines:?}");
    // One instance has done it all, unless it was replaced in between.
    assert!(cache.len() as u64 <= 2 * seconds + 1, "{cache:?}");
    assert!(
        cache.iter().all(|line| line["level"] == "warn"),
        "{cache:?}"
    );
    assert!(
        !app.host.output().contains(
            order_service_tests::environment::redis_url()
                .password()
                .unwrap_or("no password")
        )
    );
}

#[tokio::test]
async fn the_level_is_a_variable() {
    for (level, expected) in [("debug", 3), ("info", 3), ("warn", 2), ("error", 1)] {
        let app = TestApp::builder()
            .variable("log_level", level)
            .start()
            .await;
        let info = app.api.get("/health").await;
        app.products.stop();
        let warning = app.api.order_create(&order_of(&["p1"])).await;
        app.database.db_execute(NO_TOTAL).await;
        let error = app.api.order_list("").await;
        assert_eq!([info.status, warning.status, error.status], [200, 503, 500]);

        line_of(&app, error.header("x-request-id").unwrap()).await;

        let ids =
            [info, warning, error].map(|reply| reply.header("x-request-id").unwrap().to_owned());
        let mut lines = lines(&app);
        lines.retain(|line| ids.iter().any(|id| line["request_id"] == **id));
        assert_eq!(lines.len(), expected, "{level}: {lines:?}");
    }
}

#[tokio::test]
async fn the_service_has_the_name_it_is_given() {
    let app = TestApp::builder()
        .variable("service_name", "orders-eu")
        .start()
        .await;

    let reply = app.api.health().await;

    let line = line_of(&app, reply.header("x-request-id").unwrap()).await;
    assert_eq!(line["service"], "orders-eu");
}
