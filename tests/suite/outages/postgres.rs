//! Postgres fails.

use std::time::Duration;

use order_service_tests::bodies::order_of;
use order_service_tests::wait::SLACK;
use order_service_tests::{Reply, TestApp, wait};
use uuid::Uuid;

const REQUEST_TIMEOUT: Duration = Duration::from_millis(1500);

async fn app() -> TestApp {
    TestApp::builder()
        .request_timeout(REQUEST_TIMEOUT)
        .start()
        .await
}

#[tokio::test]
async fn a_stopped_postgres_is_a_503_within_the_deadline_and_recovers() {
    let app = app().await;
    let cached = app.an_order_id().await;
    app.api.order_get(&cached).await.assert_success(200);
    app.until_cached(&cached).await;

    app.postgres.refuse().await;
    let create = app.api.order_create(&order_of(&["p1"])).await;
    let get = app.api.order_get(&Uuid::new_v4().to_string()).await;
    let (get_cached, health) = (app.api.order_get(&cached).await, app.api.health().await);
    app.postgres.restore().await;

    for reply in [create, get] {
        reply.assert_error(503, "database_unavailable");
        assert!(
            reply.elapsed < REQUEST_TIMEOUT + SLACK,
            "{:?}",
            reply.elapsed
        );
    }
    get_cached.assert_success(200);
    health.assert_success(200);
    assert_eq!(app.db_order_count().await, 1);
    assert_recovered(&app).await;
}

#[tokio::test]
async fn a_hanging_postgres_is_a_503_or_504_within_the_deadline_and_recovers() {
    let app = app().await;
    let cached = app.an_order_id().await;
    app.api.order_get(&cached).await.assert_success(200);
    app.until_cached(&cached).await;

    app.postgres.hang().await;
    let (create_body, unknown) = (order_of(&["p1"]), Uuid::new_v4().to_string());
    let (create, get, get_cached, health) = tokio::join!(
        app.api.order_create(&create_body),
        app.api.order_get(&unknown),
        app.api.order_get(&cached),
        app.api.health(),
    );
    app.postgres.restore().await;

    for reply in [create, get] {
        assert_too_late(&reply);
    }
    get_cached.assert_success(200);
    health.assert_success(200);
    assert_recovered(&app).await;
}

fn assert_too_late(reply: &Reply) {
    assert!([503, 504].contains(&reply.status), "{}", reply.text());
    reply.assert_error(reply.status, &reply.code());
    let codes = ["database_unavailable", "deadline_exceeded", "overloaded"];
    assert!(codes.contains(&reply.code().as_str()));
    assert!(
        reply.elapsed < REQUEST_TIMEOUT + SLACK,
        "{:?}",
        reply.elapsed
    );
}

#[tokio::test]
async fn a_restarted_postgres_is_used_again_without_a_restart_of_the_service() {
    let app = app().await;
    app.an_order().await;

    for _ in 0..3 {
        app.postgres.cut();
        assert_recovered(&app).await;
    }
}

#[tokio::test]
async fn many_requests_during_an_outage_are_all_answered() {
    let app = app().await;
    app.an_order().await;

    app.postgres.refuse().await;
    let body = order_of(&["p1"]);
    let creations = (0..50).map(|_| app.api.order_create(&body));
    let replies = futures_util::future::join_all(creations).await;
    app.postgres.restore().await;

    for reply in replies {
        assert_too_late(&reply);
    }
    assert_recovered(&app).await;
}

#[tokio::test]
async fn a_database_without_tables_is_an_error_that_tells_nothing() {
    let app = TestApp::builder().empty_database().start().await;

    let create = app.api.order_create(&order_of(&["p1"])).await;
    let get = app.api.order_get(&Uuid::new_v4().to_string()).await;

    for reply in [create, get] {
        assert!(reply.status >= 500, "{}", reply.text());
        reply.assert_error(reply.status, &reply.code());
        assert!(!reply.text().contains("relation"), "{}", reply.text());
    }
}

/// Orders are created and read again. Until they are, every answer has its envelope.
async fn assert_recovered(app: &TestApp) {
    let order = wait::eventually("an order is created again", async || {
        let reply = app.api.order_create(&order_of(&["p1"])).await;
        if reply.status != 201 {
            assert_too_late(&reply);
            return None;
        }
        Some(reply.data())
    })
    .await;
    let id = order["id"].as_str().unwrap();
    wait::until("the order is read again", async || {
        app.api.order_get(id).await.status == 200
    })
    .await;
    wait::until("the service is ready again", async || {
        app.api.ready().await.status == 200
    })
    .await;
}
