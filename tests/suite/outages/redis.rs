//! Redis fails: the service is slower, never wrong.

use std::time::Duration;

use order_service_tests::bodies::order_of;
use order_service_tests::{TestApp, wait};

#[tokio::test]
async fn a_stopped_redis_changes_nothing_but_the_speed() {
    let app = TestApp::start().await;
    let before = app.an_order().await;

    app.redis.refuse().await;
    let created = app
        .api
        .order_create(&order_of(&["p1"]))
        .await
        .success(201)
        .data();
    for order in [&before, &created, &before] {
        let read = app
            .api
            .order_get(order["id"].as_str().unwrap())
            .await
            .success(200);
        assert_eq!(&read.data(), order);
    }
    let ready = app.api.ready().await.success(200);
    app.redis.restore().await;

    assert!(ready.text().contains("degraded"), "{}", ready.text());
    assert_cached_again(&app).await;
}

#[tokio::test]
async fn a_hanging_redis_does_not_hold_up_a_request_for_long() {
    let app = TestApp::start().await;
    let order = app.an_order().await;

    app.redis.hang().await;
    let body = order_of(&["p1"]);
    let (create, get) = tokio::join!(
        app.api.order_create(&body),
        app.api.order_get(order["id"].as_str().unwrap()),
    );
    app.redis.restore().await;

    create.assert_success(201);
    get.assert_success(200);
    for reply in [create, get] {
        assert!(
            reply.elapsed < Duration::from_secs(4),
            "{:?}",
            reply.elapsed
        );
    }
    assert_cached_again(&app).await;
}

#[tokio::test]
async fn a_restarted_redis_is_used_again() {
    let app = TestApp::start().await;
    let order = app.an_order().await;
    app.until_cached(order["id"].as_str().unwrap()).await;

    app.redis.cut();
    let read = app
        .api
        .order_get(order["id"].as_str().unwrap())
        .await
        .success(200);

    assert_eq!(read.data(), order);
    assert_cached_again(&app).await;
}

/// Orders come from the cache again, without a restart of the service.
async fn assert_cached_again(app: &TestApp) {
    let order = app.an_order().await;
    let id = order["id"].as_str().unwrap();
    wait::until("an order is read without SQL again", async || {
        app.postgres.forget();
        let read = app.api.order_get(id).await.success(200);
        assert_eq!(read.data(), order);
        app.postgres.seen().is_empty()
    })
    .await;
}
