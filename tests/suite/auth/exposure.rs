//! What can be seen from outside without being asked who one is.

use order_service_tests::TestApp;
use reqwest::Method;

#[tokio::test]
async fn metrics_and_documentation_can_be_switched_off() {
    let app = TestApp::builder()
        .variable("expose_metrics", false)
        .variable("expose_docs", false)
        .start()
        .await;

    for path in ["/metrics", "/docs", "/docs/swagger-ui.css", "/openapi.json"] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let reply = app.api.call(method, path).send().await;
            reply.assert_error(404, "not_found");
        }
    }
    app.api.health().await.assert_success(200);
    app.api.ready().await.assert_success(200);
}

#[tokio::test]
async fn nothing_but_the_page_may_be_shown_as_one() {
    let app = TestApp::start().await;

    for path in [
        "/health",
        "/api/orders",
        "/nothing",
        "/metrics",
        "/openapi.json",
    ] {
        let reply = app.api.get(path).await;
        let policy = reply.header("content-security-policy");
        assert_eq!(
            policy,
            Some("default-src 'none'; frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
    }
    let page = app.api.get("/docs").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"));
}

#[tokio::test]
async fn no_error_is_kept_by_a_cache_on_the_way() {
    let app = TestApp::start().await;

    for (method, path) in [
        (Method::GET, "/nothing"),
        (
            Method::GET,
            "/api/orders/00000000-0000-0000-0000-000000000000",
        ),
        (Method::GET, "/api/orders?page=0"),
        (Method::DELETE, "/api/orders"),
    ] {
        let reply = app.api.call(method, path).send().await;
        assert!(reply.status >= 400);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
    }
}
