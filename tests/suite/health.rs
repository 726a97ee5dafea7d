//! `GET /health`.

use order_service_tests::TestApp;
use reqwest::Method;

#[tokio::test]
async fn health_touches_no_dependency() {
    let app = TestApp::start().await;
    app.postgres.forget();
    app.redis.forget();

    app.api.health().await.assert_success(200);

    assert_eq!(app.postgres.seen(), [""; 0]);
    let mut commands = app.redis.seen();
    // That the request was counted is told after the response.
    commands.retain(|command| !command.contains(":metrics:batches:"));
    assert_eq!(commands, [""; 0]);
    assert!(app.products.log().is_empty());
}

#[tokio::test]
async fn health_is_good_while_everything_else_is_down() {
    let app = TestApp::start().await;
    app.postgres.refuse().await;
    app.redis.refuse().await;
    app.products.stop();

    app.api.health().await.assert_success(200);
}

#[tokio::test]
async fn head_of_health_has_no_body() {
    let app = TestApp::start().await;

    let reply = app.api.call(Method::HEAD, "/health").send().await;

    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
}
