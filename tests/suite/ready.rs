//! `GET /ready`.

use std::time::Duration;

use order_service_tests::TestApp;

#[tokio::test]
async fn a_service_with_all_its_dependencies_is_ready() {
    let app = TestApp::start().await;

    let reply = app.api.ready().await.success(200);

    assert!(!reply.text().contains("degraded"), "{}", reply.text());
    let text = reply.text().to_lowercase();
    for dependency in ["database", "cache", "products"] {
        assert!(text.contains(dependency), "{dependency} in {text}");
    }
    assert!(text.contains("latency"), "{text}");
}

#[tokio::test]
async fn without_redis_it_is_ready_but_degraded() {
    let app = TestApp::start().await;
    app.redis.refuse().await;

    let down = app.api.ready().await.success(200);
    app.redis.restore().await;

    assert!(down.text().contains("degraded"), "{}", down.text());
    until_ready(&app).await;
}

#[tokio::test]
async fn with_a_redis_that_hangs_it_is_degraded_within_its_second() {
    let app = TestApp::start().await;
    app.redis.hang().await;

    let reply = app.api.ready().await.success(200);

    assert!(reply.text().contains("degraded"), "{}", reply.text());
    assert!(
        reply.elapsed < Duration::from_secs(3),
        "{:?}",
        reply.elapsed
    );
}

#[tokio::test]
async fn without_the_product_service_it_is_ready_but_degraded() {
    let app = TestApp::start().await;
    app.products.stop();

    let reply = app.api.ready().await.success(200);

    assert!(reply.text().contains("degraded"), "{}", reply.text());
}

#[tokio::test]
async fn without_postgres_it_is_not_ready() {
    let app = TestApp::start().await;
    app.postgres.refuse().await;

    let reply = app.api.ready().await;
    app.postgres.restore().await;

    assert_eq!(reply.status, 503, "{}", reply.text());
    reply.assert_error(503, &reply.code());
    until_ready(&app).await;
}

#[tokio::test]
async fn with_a_postgres_that_hangs_it_is_not_ready_after_a_second() {
    let app = TestApp::start().await;
    app.postgres.hang().await;

    let reply = app.api.ready().await;
    app.postgres.restore().await;

    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(
        reply.elapsed < Duration::from_secs(3),
        "{:?}",
        reply.elapsed
    );
    until_ready(&app).await;
}

#[tokio::test]
async fn without_the_migrations_it_is_not_ready() {
    let app = TestApp::builder().empty_database().start().await;

    let reply = app.api.ready().await;

    assert_eq!(reply.status, 503, "{}", reply.text());
    reply.assert_error(503, &reply.code());
}

#[tokio::test]
async fn without_the_newest_migration_it_is_not_ready() {
    let app = TestApp::start().await;
    let newest = order_service_tests::migrations::all().pop().unwrap();
    newest.revert(app.database.client()).await.unwrap();

    let reply = app.api.ready().await;

    assert_eq!(reply.status, 503, "{}", reply.text());
}

async fn until_ready(app: &TestApp) {
    order_service_tests::wait::until("the service is ready again", async || {
        let reply = app.api.ready().await;
        reply.status == 200 && !reply.text().contains("degraded")
    })
    .await;
}
