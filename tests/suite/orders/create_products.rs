//! `POST /api/orders`: what the product service may answer, and what the client gets then.

mod hostile_ids;
mod identity;
mod redirects;
mod unavailable;

use std::time::Duration;

use order_service_tests::TestApp;
use order_service_tests::bodies::{line, order_of, order_with_lines};
use reqwest::header::HeaderValue;
use sample_products::Reply;
use serde_json::{Value, json};

#[tokio::test]
async fn products_that_do_not_exist_are_named_by_their_lines_and_asked_for_once() {
    let app = TestApp::start().await;

    let reply = app
        .api
        .order_create(&order_of(&["none", "p1", "nil", "none"]))
        .await;

    reply.assert_error(422, "unknown_product");
    let mut lines: Vec<String> = reply
        .problems()
        .iter()
        .map(|problem| problem.split('/').take(3).collect::<Vec<_>>().join("/"))
        .map(|pointer| pointer.split(' ').next().unwrap().to_owned())
        .collect();
    lines.dedup();
    assert_eq!(
        lines,
        ["/order_items/0", "/order_items/2", "/order_items/3"]
    );
    assert_eq!(
        app.products.log().len(),
        3,
        "{:?}",
        app.products.log().raw_paths()
    );
    app.db_assert_nothing_stored().await;
}

#[tokio::test]
async fn products_are_asked_for_without_a_body() {
    let app = TestApp::start().await;
    app.products.set_price("p2", "1.00");

    let reply = app.api.order_create(&order_of(&["p1", "p2"])).await;

    reply.assert_success(201);
    let asked = app.products.log().requests();
    assert_eq!(asked.len(), 2);
    for request in asked {
        let sizes = ["content-length", "transfer-encoding"].map(|name| request.headers.get(name));
        assert_eq!(sizes, [Some(&HeaderValue::from_static("0")), None]);
    }
}

#[tokio::test]
async fn an_inactive_product_is_unknown() {
    let app = TestApp::start().await;
    app.products
        .set("retired", Reply::priced("1.00").with("is_active", false));
    app.products
        .set("active", Reply::priced("1.00").with("is_active", true));

    let retired = app.api.order_create(&order_of(&["retired"])).await;
    app.api
        .order_create(&order_of(&["active"]))
        .await
        .assert_success(201);

    retired.assert_error(422, "unknown_product");
    assert_eq!(app.db_order_count().await, 1);
}

#[tokio::test]
async fn what_is_not_in_stock_cannot_be_ordered() {
    let app = TestApp::start().await;
    app.products
        .set("scarce", Reply::priced("1.00").with("stock", 3));
    app.products
        .set("sold-out", Reply::priced("1.00").with("stock", 0));
    let refused = [
        vec![line("scarce", 4)],
        vec![line("sold-out", 1)],
        vec![line("p1", 1), line("scarce", 4)],
        // Together they are more than there is.
        vec![line("scarce", 2), line("scarce", 2)],
    ];

    for lines in refused {
        let reply = app.api.order_create(&order_with_lines(lines)).await;

        reply.assert_error(422, "insufficient_stock");
        assert!(
            reply
                .problems()
                .iter()
                .all(|it| it.starts_with("/order_items/"))
        );
        assert!(!reply.problems().is_empty());
    }
    app.db_assert_nothing_stored().await;
    app.api
        .order_create(&order_with_lines(vec![line("scarce", 3)]))
        .await
        .assert_success(201);
}

#[tokio::test]
async fn extra_fields_and_nulls_in_a_reply_do_no_harm() {
    let app = TestApp::start().await;
    let product = Reply::priced("1.00")
        .with("stock", Value::Null)
        .with("currency", Value::Null)
        .with("is_active", Value::Null)
        .with("tags", json!([{"deep": {"er": [1, 2.5e300, "\u{0}"]}}]));
    app.products.set("rich", product);

    let order = app
        .api
        .order_create(&order_of(&["rich"]))
        .await
        .success(201)
        .data();

    assert_eq!(order["currency"], "USD");
}

#[tokio::test]
async fn replies_that_make_no_sense_are_a_502_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let price = |raw_json: &str| Reply::product().with_raw("price", raw_json);
    let cases = [
        ("no price", Reply::product()),
        ("price null", price("null")),
        ("price boolean", price("true")),
        ("price array", price("[1]")),
        ("price object", price("{}")),
        ("price empty", price(r#""""#)),
        ("price no number", price(r#""cheap""#)),
        ("price with a sign of currency", price(r#""$1.00""#)),
        ("price with a comma", price(r#""1,00""#)),
        ("price with blanks", price(r#"" ""#)),
        ("price NaN", price(r#""NaN""#)),
        ("price infinite", price(r#""Infinity""#)),
        ("price negative", price(r#""-1.00""#)),
        ("price negative as a number", price("-0.01")),
        ("price with three decimals", price(r#""1.999""#)),
        ("price with three decimals as a number", price("1.999")),
        (
            "price with thirty decimals",
            price("0.000000000000000000000000000001"),
        ),
        ("price beyond all numbers", price("1e400")),
        (
            "price of forty digits",
            price(r#""1000000000000000000000000000000000000000""#),
        ),
        ("stock text", Reply::priced("1.00").with("stock", "many")),
        (
            "is_active text",
            Reply::priced("1.00").with("is_active", "yes"),
        ),
        (
            "currency number",
            Reply::priced("1.00").with("currency", 840),
        ),
        (
            "currency too long",
            Reply::priced("1.00").with("currency", "DOLLARS"),
        ),
        ("currency empty", Reply::priced("1.00").with("currency", "")),
        (
            "currency with U+0000",
            Reply::priced("1.00").with("currency", "U\u{0}D"),
        ),
    ];

    for (number, (name, reply)) in cases.into_iter().enumerate() {
        let id = format!("odd-{number}");
        app.products.set(&id, reply);

        let reply = app.api.order_create(&order_of(&["p1", &id])).await;

        let answered = (reply.status, reply.code());
        assert_eq!(
            answered,
            (502, "invalid_product_reply".to_owned()),
            "{name}"
        );
        reply.assert_error(502, "invalid_product_reply");
    }
    app.db_assert_nothing_stored().await;
    app.api
        .order_create(&order_of(&["p1"]))
        .await
        .assert_success(201);
}

#[tokio::test]
async fn replies_that_name_no_product_are_about_none() {
    let app = TestApp::start().await;
    let ok = |body: &str| Reply::raw(200, body.to_owned());
    let cases = [
        ("empty body", ok("")),
        ("no JSON", ok("<html>hello</html>")),
        ("half JSON", ok(r#"{"status":"success","data":{"id":"#)),
        (
            "two JSONs",
            ok(r#"{"data":{"price":"1.00"}} {"data":{"price":"2.00"}}"#),
        ),
        ("array", ok("[]")),
        ("null", ok("null")),
        ("no data", ok(r#"{"status":"success"}"#)),
        ("data null", ok(r#"{"status":"success","data":null}"#)),
        (
            "data array",
            ok(r#"{"status":"success","data":[{"price":"1.00"}]}"#),
        ),
        (
            "not UTF-8",
            Reply::raw(200, &b"{\"data\":{\"price\":\"\xff\"}}"[..]),
        ),
        ("deeply nested", ok(&"[".repeat(60_000))),
    ];

    for (number, (name, reply)) in cases.into_iter().enumerate() {
        let id = format!("odd-{number}");
        app.products.set(&id, reply);

        let reply = app.api.order_create(&order_of(&["p1", &id])).await;

        let answered = (reply.status, reply.code());
        assert_eq!(answered, (422, "unknown_product".to_owned()), "{name}");
    }
    assert_eq!(app.products.log().len(), 2 * 11, "one attempt each");
    app.db_assert_nothing_stored().await;
}

#[tokio::test]
async fn waiting_for_a_product_delays_nobody_else() {
    let app = TestApp::start().await;
    app.products.set(
        "slow",
        Reply::priced("1.00").after(Duration::from_millis(700)),
    );
    app.an_order().await;

    let slow_order = order_of(&["slow"]);
    let slow = app.api.order_create(&slow_order);
    let quick = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        app.an_order().await;
        std::time::Instant::now()
    };
    let (slow, quick_done_at) =
        tokio::join!(async { (slow.await, std::time::Instant::now()) }, quick);

    slow.0.assert_success(201);
    assert!(
        quick_done_at < slow.1,
        "the quick one did not wait for the slow one"
    );
}

#[tokio::test]
async fn a_reply_without_end_is_not_read_to_its_end() {
    let app = TestApp::start().await;
    app.products
        .set("endless", Reply::raw(200, vec![b' '; 16 << 20]));

    let reply = app.api.order_create(&order_of(&["endless"])).await;

    reply.assert_error(502, "invalid_product_reply");
    assert_eq!(app.products.log().len(), 1);
    app.db_assert_nothing_stored().await;
    app.api
        .order_create(&order_of(&["p1"]))
        .await
        .assert_success(201);
}
