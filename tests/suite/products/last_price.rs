//! Last known prices, where the settings allow them.

use std::time::Duration;

use futures_util::future::join_all;
use order_service_tests::bodies::{line, order_of, order_with_lines};
use order_service_tests::scrape::Scrape;
use order_service_tests::{Builder, TestApp, wait};
use sample_products::Reply;
use serde_json::Value;

fn keeping(max_age_s: u32) -> Builder {
    TestApp::builder()
        .variable("product_price_max_age_s", max_age_s)
        .variable("product_timeout_ms", 300)
}

/// How many prices are kept.
async fn kept(app: &TestApp) -> usize {
    let mut keys = redis::cmd("keys");
    keys.arg(app.redis_key("product-price:*"));
    app.redis_command::<Vec<String>>(&keys).await.len()
}

async fn until_kept(app: &TestApp, prices: usize) {
    wait::until("the prices are kept", async || kept(app).await == prices).await;
}

#[tokio::test]
async fn orders_go_on_through_an_outage_at_the_prices_kept_and_say_so() {
    let app = keeping(600).start().await;
    app.products
        .set("scarce", Reply::priced("2.50").with("stock", 3));
    app.products.set_price("euro € äöü", "3.00");
    let before = order_of(&["p1", "scarce", "euro € äöü"]);
    let before = app.api.order_create(&before).await.success(201).data();
    for line in before["order_items"].as_array().unwrap() {
        assert_eq!(line["price_as_of"], Value::Null);
    }
    until_kept(&app, 3).await;
    app.products.stop();

    let lines = vec![line("scarce", 4), line("euro € äöü", 1), line("scarce", 1)];
    let during = app
        .api
        .order_create(&order_with_lines(lines))
        .await
        .success(201);

    assert_eq!(during.raw("/data/total_amount"), "15.50");
    let order = during.data();
    for line in order["order_items"].as_array().unwrap() {
        let seen = line["price_as_of"].as_str().expect("a time");
        assert!(seen.ends_with('Z') && seen <= before["created_at"].as_str().unwrap());
    }
    let id = order["id"].as_str().unwrap();
    let stored = "select count(*) from order_items where price_as_of is not null";
    assert_eq!(app.database.db_count(stored).await, 3);
    let mut key = redis::cmd("del");
    key.arg(app.redis_key(&format!("order:{id}")));
    app.until_cached(id).await;
    app.redis_command::<()>(&key).await;
    assert_eq!(app.api.order_get(id).await.success(200).data(), order);
    wait::until("the lines are counted", async || {
        let scrape = Scrape::of(&app.api).await;
        scrape.sum("order_lines_at_last_known_price_total", &[]) == 3.0
    })
    .await;
}

#[tokio::test]
async fn a_price_that_was_never_seen_is_a_503() {
    let app = keeping(600).start().await;
    app.an_order().await;
    until_kept(&app, 1).await;
    app.products.stop();

    let reply = app.api.order_create(&order_of(&["p1", "p2"])).await;

    reply.assert_error(503, "product_service_unavailable");
    assert_eq!(app.db_order_count().await, 1);
}

#[tokio::test]
async fn a_price_older_than_allowed_is_a_503() {
    let app = keeping(2).start().await;
    app.an_order().await;
    until_kept(&app, 1).await;
    app.products.stop();
    app.api
        .order_create(&order_of(&["p1"]))
        .await
        .assert_success(201);

    tokio::time::sleep(Duration::from_millis(2100)).await;
    let reply = app.api.order_create(&order_of(&["p1"])).await;

    reply.assert_error(503, "product_service_unavailable");
}

#[tokio::test]
async fn the_age_is_that_of_the_price_and_not_of_its_key() {
    let app = keeping(60).start().await;
    app.an_order().await;
    until_kept(&app, 1).await;
    app.products.stop();
    let now_us = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_micros();

    for (age_s, status) in [(55, 201), (61, 503)] {
        let mut set = redis::cmd("set");
        set.arg(app.redis_key("product-price:p1"))
            .arg(format!("{} USD 7.77", now_us - age_s * 1_000_000));
        app.redis_command::<()>(&set).await;

        let reply = app.api.order_create(&order_of(&["p1"])).await;

        assert_eq!(reply.status, status, "{age_s} s: {}", reply.text());
    }
}

#[tokio::test]
async fn a_product_that_is_no_longer_for_sale_is_forgotten() {
    let app = keeping(600).start().await;
    app.an_order().await;
    until_kept(&app, 1).await;
    app.products.set("p1", Reply::not_found());
    let reply = app.api.order_create(&order_of(&["p1"])).await;
    reply.assert_error(422, "unknown_product");
    until_kept(&app, 0).await;
    app.products.stop();

    let reply = app.api.order_create(&order_of(&["p1"])).await;

    reply.assert_error(503, "product_service_unavailable");
}

#[tokio::test]
async fn only_lines_that_were_not_answered_have_their_last_known_price() {
    let app = keeping(600).start().await;
    app.products.set_price("a", "1.00");
    app.api
        .order_create(&order_of(&["a", "p1"]))
        .await
        .assert_success(201);
    until_kept(&app, 2).await;
    app.products.set("a", Reply::status(503));
    app.products.set_price("p1", "11.00");

    let order = app.api.order_create(&order_of(&["a", "p1"])).await;

    let order = order.success(201);
    assert_eq!(order.raw("/data/total_amount"), "12.00");
    let lines = order.data()["order_items"].clone();
    assert!(lines[0]["price_as_of"].is_string(), "{lines}");
    assert_eq!(lines[1]["price_as_of"], Value::Null);
}

#[tokio::test]
async fn an_open_breaker_means_last_known_prices_at_once() {
    let app = keeping(600)
        .variable("product_breaker_open_ms", 60_000)
        .start()
        .await;
    app.an_order().await;
    until_kept(&app, 1).await;
    app.products.set("p1", Reply::hang());
    for _ in 0..3 {
        app.an_order().await;
    }

    let orders = join_all((0..8).map(|_| app.an_order())).await;

    assert!(orders.iter().all(|order| order["total_amount"] == 10.0));
    let asked = app.products.log().requests_for("p1").len();
    assert!(asked <= 10, "{asked} requests");
}

#[tokio::test]
async fn what_makes_no_sense_is_not_replaced_by_a_last_known_price() {
    let app = keeping(600).start().await;
    app.an_order().await;
    until_kept(&app, 1).await;
    app.products.set("p1", Reply::priced("free"));

    let reply = app.api.order_create(&order_of(&["p1"])).await;

    reply.assert_error(502, "invalid_product_reply");
}

#[tokio::test]
async fn without_redis_there_are_no_last_known_prices_and_orders_succeed() {
    let app = keeping(600).start().await;
    app.an_order().await;
    until_kept(&app, 1).await;
    app.redis.refuse().await;

    app.an_order().await;
    app.products.stop();
    let reply = app.api.order_create(&order_of(&["p1"])).await;
    app.redis.restore().await;

    reply.assert_error(503, "product_service_unavailable");
}

#[tokio::test]
async fn switched_off_nothing_is_kept() {
    let app = TestApp::start().await;

    let id = app.an_order_id().await;
    app.until_cached(&id).await;
    tokio::time::sleep(Duration::from_millis(200)).await;

    assert_eq!(kept(&app).await, 0);
    app.products.stop();
    let reply = app.api.order_create(&order_of(&["p1"])).await;
    reply.assert_error(503, "product_service_unavailable");
}
