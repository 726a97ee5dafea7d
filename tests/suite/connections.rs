//! Connections that an instance opens: one for all requests that need it at the same time.

use std::time::Duration;

use futures_util::future::join_all;
use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;
use uuid::Uuid;

const REQUESTS: u32 = 8;
/// Far enough apart for each request to wait for something before the next one comes, so that one
/// instance gets them all.
const APART: Duration = Duration::from_millis(25);

#[tokio::test]
async fn requests_that_need_postgres_wait_for_one_connection() {
    let app = TestApp::start().await;
    app.postgres.forget();

    app.postgres.hang().await;
    let body = order_of(&["p1"]);
    let creations = (0..REQUESTS).map(async |number| {
        tokio::time::sleep(APART * number).await;
        app.api.order_create(&body).await
    });
    let restoring = async {
        tokio::time::sleep(APART * (REQUESTS + 4)).await;
        let opened = app.postgres.connections();
        app.postgres.restore().await;
        opened
    };
    let (replies, opened) = tokio::join!(join_all(creations), restoring);

    for reply in replies {
        reply.assert_success(201);
    }
    // Another instance may have helped.
    assert!((1..=4).contains(&opened), "{opened} connections");
}

#[tokio::test]
async fn a_request_that_asks_redis_twice_at_once_opens_one_connection() {
    let app = TestApp::start().await;
    app.redis.forget();

    // It looks for the order, and asks whether the log has been warned that there are no tokens.
    let reply = app.api.order_get(&Uuid::new_v4().to_string()).await;

    reply.assert_error(404, "order_not_found");
    let seen = app.redis.seen();
    assert!(seen.iter().any(|it| it.contains("warned:")), "{seen:?}");
    assert_eq!(app.redis.connections(), 1);
}
