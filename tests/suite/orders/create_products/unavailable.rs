//! A product service that is slow, down or failing: each test has a service of its own, because
//! an instance may remember that the product service failed.

use std::time::Duration;

use order_service_tests::bodies::order_of;
use order_service_tests::wait::SLACK;
use order_service_tests::{Reply as Answer, TestApp};
use sample_products::Reply;

const REQUEST_TIMEOUT: Duration = Duration::from_millis(2500);

async fn app() -> TestApp {
    let builder = TestApp::builder().request_timeout(REQUEST_TIMEOUT);
    builder
        .variable("product_timeout_ms", 500)
        .variable("product_attempts", 3)
        .start()
        .await
}

/// An attempt may take as long as the request has.
async fn app_with_long_attempts(request_timeout: Duration) -> TestApp {
    let builder = TestApp::builder().request_timeout(request_timeout);
    builder.variable("product_timeout_ms", 60_000).start().await
}

async fn assert_unavailable(app: &TestApp, reply: &Answer) {
    reply.assert_error(503, "product_service_unavailable");
    assert!(
        reply.elapsed < REQUEST_TIMEOUT + SLACK,
        "{:?}",
        reply.elapsed
    );
    app.db_assert_nothing_stored().await;
}

#[tokio::test]
async fn one_503_and_then_200_creates_the_order() {
    let app = app().await;
    app.products
        .set("shaky", [Reply::status(503), Reply::priced("1.00")]);

    app.api
        .order_create(&order_of(&["shaky", "p1"]))
        .await
        .assert_success(201);

    assert_eq!(app.products.log().requests_for("shaky").len(), 2);
    assert_eq!(app.products.log().requests_for("p1").len(), 1);
    assert_eq!(app.db_order_count().await, 1);
}

#[tokio::test]
async fn one_reply_that_breaks_off_or_hangs_is_asked_for_again() {
    let app = app().await;
    app.products.set(
        "broken",
        [Reply::priced("1.00").broken_off(), Reply::priced("1.00")],
    );
    app.products
        .set("hanging", [Reply::hang(), Reply::priced("1.00")]);

    app.api
        .order_create(&order_of(&["broken", "hanging"]))
        .await
        .assert_success(201);

    assert_eq!(app.products.log().len(), 4);
}

#[tokio::test]
async fn a_500_is_tried_again_as_often_as_it_is_set() {
    let app = app().await;
    app.products.set("failing", Reply::status(500));

    let reply = app.api.order_create(&order_of(&["failing"])).await;

    assert_unavailable(&app, &reply).await;
    assert_eq!(app.products.log().len(), 3);
}

#[tokio::test]
async fn with_one_attempt_nothing_is_tried_again() {
    let app = TestApp::builder()
        .variable("product_attempts", 1)
        .start()
        .await;
    app.products.set("failing", Reply::status(503));

    let reply = app.api.order_create(&order_of(&["failing"])).await;

    assert_unavailable(&app, &reply).await;
    assert_eq!(app.products.log().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_a_503() {
    let app = app().await;
    app.products.stop();

    let reply = app.api.order_create(&order_of(&["p1"])).await;

    assert_unavailable(&app, &reply).await;
}

#[tokio::test]
async fn a_service_that_hangs_is_a_503_within_the_deadline() {
    let app = app().await;
    app.products.set("hanging", Reply::hang());

    let reply = app.api.order_create(&order_of(&["p1", "hanging"])).await;

    assert_unavailable(&app, &reply).await;
}

#[tokio::test]
async fn a_body_that_drips_is_a_503_within_the_deadline() {
    let app = app().await;
    let drip = Duration::from_millis(200);
    app.products
        .set("dripping", Reply::priced("1.00").dripping(drip));

    let reply = app.api.order_create(&order_of(&["dripping"])).await;

    assert_unavailable(&app, &reply).await;
}

#[tokio::test]
async fn a_long_attempt_does_not_outlive_the_request() {
    let timeout = Duration::from_millis(600);
    let app = app_with_long_attempts(timeout).await;
    app.products.set("hanging", Reply::hang());

    let reply = app.api.order_create(&order_of(&["hanging"])).await;

    assert!([503, 504].contains(&reply.status), "{}", reply.text());
    reply.assert_error(reply.status, &reply.code());
    assert!(reply.elapsed < timeout + SLACK, "{:?}", reply.elapsed);
    app.db_assert_nothing_stored().await;
}

#[tokio::test]
async fn each_of_many_requests_that_wait_has_its_own_deadline() {
    let timeout = Duration::from_millis(800);
    let app = app_with_long_attempts(timeout).await;
    app.products.set("hanging", Reply::hang());
    // One instance serves sixteen at a time, and none has failed when the last one comes.
    let replies = (0..48_u32).map(async |number| {
        tokio::time::sleep(Duration::from_millis(10) * number).await;
        app.api.order_create(&order_of(&["hanging"])).await
    });

    for reply in futures_util::future::join_all(replies).await {
        assert!([503, 504].contains(&reply.status), "{}", reply.text());
        let its_own = timeout / 2..timeout + SLACK;
        assert!(its_own.contains(&reply.elapsed), "{:?}", reply.elapsed);
    }
}

#[tokio::test]
async fn many_products_that_hang_take_no_longer_than_one() {
    let app = app().await;
    let ids: Vec<String> = (0..100).map(|number| format!("hanging-{number}")).collect();
    ids.iter()
        .for_each(|id| app.products.set(id, Reply::hang()));
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();

    let reply = app.api.order_create(&order_of(&ids)).await;

    assert_unavailable(&app, &reply).await;
}

#[tokio::test]
async fn it_is_asked_again_once_it_is_back() {
    let app = app().await;
    app.products.set("p1", Reply::status(503));
    for _ in 0..10 {
        let reply = app.api.order_create(&order_of(&["p1"])).await;
        reply.assert_error(503, "product_service_unavailable");
    }

    app.products.set_price("p1", "10.00");

    order_service_tests::wait::until("an order is created again", async || {
        app.api.order_create(&order_of(&["p1"])).await.status == 201
    })
    .await;
}
