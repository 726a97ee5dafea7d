//! A product is what was asked for: a catalogue that understands ids in its own ways.

use std::time::Duration;

use order_service_tests::bodies::{line, order_of, order_with_lines};
use order_service_tests::scrape::Scrape;
use order_service_tests::{Reply as Answer, TestApp};
use sample_products::server::Server;
use sample_products::{Catalogue, Reply};
use serde_json::json;

/// The service in front of the sample catalogue, and the catalogue.
async fn app_and_catalogue() -> (TestApp, Server) {
    serving(Catalogue::sample().router()).await
}

async fn serving(router: axum::Router) -> (TestApp, Server) {
    let server = Server::start(router, ([127, 0, 0, 1], 0).into()).await;
    let server = server.expect("a free port");
    let url = format!("http://{}", server.address());
    let builder = TestApp::builder().variable("product_service_url", url);
    (builder.start().await, server)
}

/// Attempts by how they were counted. Another instance than the one that answers the scrape may
/// still have counts to send.
async fn attempts(app: &TestApp, result: &str) -> f64 {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let name = "product_service_request_duration_seconds_count";
    Scrape::of(&app.api).await.sum(name, &[("result", result)])
}

#[track_caller]
fn assert_unknown(reply: &Answer, id: &str) {
    let answered = (reply.status, reply.code());
    assert_eq!(answered, (422, "unknown_product".to_owned()), "{id:?}");
}

#[tokio::test]
async fn an_alias_of_a_product_is_unknown() {
    let (app, _catalogue) = app_and_catalogue().await;
    let one = app.api.order_create(&order_of(&["1"])).await.success(201);
    assert_eq!(one.data()["order_items"][0]["product_id"], "1");

    for alias in [
        "01", "+1", " 1", "1 ", "0_1", "\u{661}", "\u{ff11}", "1.json", "1.api",
    ] {
        let reply = app.api.order_create(&order_of(&[alias])).await;

        assert_unknown(&reply, alias);
        assert_eq!(
            reply.problems(),
            ["/order_items/0/product_id unknown_product"]
        );
    }
    assert_eq!(app.db_order_count().await, 1);
    for failure in ["invalid", "unavailable", "refused"] {
        assert_eq!(attempts(&app, failure).await, 0.0, "{failure}");
    }
    assert_eq!(
        attempts(&app, "not_found").await,
        7.0,
        "two were never sent"
    );
}

#[tokio::test]
async fn aliases_do_not_sell_more_than_there_is() {
    let (app, _catalogue) = app_and_catalogue().await;
    let too_many = [
        vec![line("1", 2), line("1", 2)],
        vec![line("1", 3), line("1", 3), line("1", 3), line("1", 3)],
    ];
    let aliased = ["01", "+1", "0_1", "1.json"].map(|alias| vec![line("1", 3), line(alias, 3)]);

    for lines in too_many {
        let reply = app.api.order_create(&order_with_lines(lines)).await;
        reply.assert_error(422, "insufficient_stock");
    }
    for lines in aliased {
        let reply = app.api.order_create(&order_with_lines(lines)).await;
        reply.assert_error(422, "unknown_product");
    }
    app.db_assert_nothing_stored().await;
    let all = order_with_lines(vec![line("1", 1), line("1", 2)]);
    app.api.order_create(&all).await.assert_success(201);
}

#[tokio::test]
async fn what_lies_beside_the_products_is_unknown() {
    let (app, _catalogue) = app_and_catalogue().await;

    for id in ["statistics", "low_stock", "search"] {
        let reply = app.api.order_create(&order_of(&[id])).await;

        assert_unknown(&reply, id);
    }
    assert_eq!(attempts(&app, "not_found").await, 3.0, "one attempt each");
    assert_eq!(attempts(&app, "unavailable").await, 0.0);
    app.db_assert_nothing_stored().await;
}

#[tokio::test]
async fn no_id_of_several_segments_leaves_the_service() {
    let app = TestApp::start().await;
    app.products.set_fallback(Reply::status(400));

    for id in [
        "1/check_stock",
        "1/update_stock",
        "1\\check_stock",
        "/",
        "\\",
        ".",
        "..",
        " 1",
        "1 ",
        "\u{3000}1",
    ] {
        let reply = app.api.order_create(&order_of(&[id])).await;

        assert_unknown(&reply, id);
    }
    let paths = app.products.log().raw_paths();
    assert!(paths.is_empty(), "{paths:?}");
}

#[tokio::test]
async fn a_long_description_does_no_harm() {
    let (app, _catalogue) = app_and_catalogue().await;

    let order = app.api.order_create(&order_of(&["70"])).await.success(201);

    assert_eq!(order.raw("/data/total_amount"), "70.99");
    assert_eq!(attempts(&app, "ok").await, 1.0);
}

#[tokio::test]
async fn a_reply_over_its_limit_is_a_502_after_one_attempt() {
    let app = TestApp::start().await;
    let padded = |bytes: usize| Reply::priced("1.00").with("description", "x".repeat(bytes));
    app.products.set("largest", padded((1 << 20) - 200));
    app.products.set("too-large", padded(1 << 20));

    app.api
        .order_create(&order_of(&["largest"]))
        .await
        .assert_success(201);
    let reply = app.api.order_create(&order_of(&["too-large"])).await;

    reply.assert_error(502, "invalid_product_reply");
    assert_eq!(app.products.log().requests_for("too-large").len(), 1);
    assert_eq!(app.db_order_count().await, 1);
}

#[tokio::test]
async fn a_hundred_large_replies_do_not_end_the_instance() {
    let app = TestApp::start().await;
    let large = Reply::priced("1.00").with("description", "x".repeat(500_000));
    let ids: Vec<String> = (0..100).map(|number| format!("large-{number}")).collect();
    ids.iter()
        .for_each(|id| app.products.set(id, large.clone()));
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let order = order_of(&ids);

    let (one, other) = tokio::join!(app.api.order_create(&order), app.api.order_create(&order));

    for reply in [one, other] {
        assert!([201, 503].contains(&reply.status), "{}", reply.text());
    }
    app.an_order().await;
}

#[tokio::test]
async fn a_service_that_refuses_our_host_is_a_502_and_its_status_is_told() {
    let (app, _catalogue) = serving(Catalogue::sample().router_for("products.example")).await;

    let reply = app.api.order_create(&order_of(&["p1"])).await;

    reply.assert_error(502, "invalid_product_reply");
    app.db_assert_nothing_stored().await;
    let name = "product_service_request_duration_seconds_count";
    let labels = [("result", "refused"), ("http_response_status_code", "400")];
    assert_eq!(Scrape::of(&app.api).await.sum(name, &labels), 1.0);
    let request_id = reply.header("x-request-id").unwrap().to_owned();
    let line = order_service_tests::wait::eventually("the request is logged", async || {
        let output = app.host.output();
        let line = output.lines().find(|line| line.contains(&request_id));
        line.map(str::to_owned)
    })
    .await;
    assert!(line.contains("400 Bad Request"), "{line}");
    assert!(line.contains(r#""level":"info""#), "{line}");
}

#[tokio::test]
async fn another_4xx_is_a_502_without_a_second_attempt() {
    let app = TestApp::start().await;

    for status in [400, 401, 403, 405, 409, 414, 418, 451] {
        let id = format!("refused-{status}");
        app.products.set(&id, Reply::status(status));

        let reply = app.api.order_create(&order_of(&[&id])).await;

        reply.assert_error(502, "invalid_product_reply");
        assert_eq!(app.products.log().requests_for(&id).len(), 1, "{status}");
    }
    for status in [404, 410] {
        app.products.set("gone", Reply::status(status));

        let reply = app.api.order_create(&order_of(&["gone"])).await;

        assert_unknown(&reply, "gone");
    }
    app.db_assert_nothing_stored().await;
}

#[tokio::test]
async fn an_id_is_compared_as_text() {
    let app = TestApp::start().await;
    let answering = |data: serde_json::Value| {
        Reply::raw(200, json!({"status": "success", "data": data}).to_string())
    };
    let cases = [
        ("7", json!({"id": 7, "price": "1.00"}), 201),
        ("8", json!({"id": "8", "price": "1.00"}), 201),
        ("9", json!({"id": 9.0, "price": "1.00"}), 422),
        ("true", json!({"id": true, "price": "1.00"}), 422),
        ("null", json!({"id": null, "price": "1.00"}), 422),
        ("Abc", json!({"id": "abc", "price": "1.00"}), 422),
        ("none", json!({"price": "1.00"}), 422),
        ("list", json!([{"id": "list", "price": "1.00"}]), 422),
        // What is wrong with another product is of no interest.
        ("other", json!({"id": "another", "price": "free"}), 422),
        ("free", json!({"id": "free", "price": "free"}), 502),
    ];

    for (id, data, status) in cases {
        app.products.set(id, answering(data.clone()));

        let reply = app.api.order_create(&order_of(&[id])).await;

        assert_eq!(reply.status, status, "{data}: {}", reply.text());
    }
}
