//! Pages of other origins.

use order_service_tests::tokens::Signer;
use order_service_tests::{Reply, TestApp};
use reqwest::Method;

use super::{client, trusting, user};

const SHOP: &str = "https://shop.example";
const EVIL: &str = "https://evil.example";

/// What a browser asks before a page of `origin` may call.
async fn preflight(app: &TestApp, origin: &str, path: &str) -> Reply {
    let call = app.api.call(Method::OPTIONS, path);
    let call = call.header("origin", origin);
    let call = call.header("access-control-request-method", "PATCH");
    let call = call.header(
        "access-control-request-headers",
        "authorization,content-type",
    );
    call.send().await
}

fn allowed(reply: &Reply) -> Option<&str> {
    reply.header("access-control-allow-origin")
}

#[tokio::test]
async fn no_other_origin_may_call_by_default() {
    let app = TestApp::start().await;

    preflight(&app, SHOP, "/api/orders")
        .await
        .assert_error(405, "method_not_allowed");
    let call = app
        .api
        .call(Method::GET, "/api/orders")
        .header("origin", SHOP);
    let reply = call.send().await.success(200);

    assert!(
        reply
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("access-control-"))
    );
}

#[tokio::test]
async fn an_origin_of_the_list_may_call_and_no_other() {
    let signer = Signer::ed25519("a");
    let app = trusting(&signer)
        .variable(
            "cors_allowed_origins",
            format!("http://localhost:3000,{SHOP}"),
        )
        .start()
        .await;
    let id = "00000000-0000-0000-0000-000000000000";
    let path = format!("/api/orders/{id}/status");

    // Nobody shows a token beforehand.
    let asked = preflight(&app, SHOP, &path).await;
    assert_eq!((asked.status, asked.text().as_str()), (204, ""));
    assert_eq!(allowed(&asked), Some(SHOP));
    assert_eq!(asked.header("access-control-allow-methods"), Some("PATCH"));
    let headers = asked.header("access-control-allow-headers").unwrap();
    for name in [
        "authorization",
        "content-type",
        "if-match",
        "idempotency-key",
    ] {
        assert!(headers.contains(name), "{headers}");
    }
    assert_eq!(asked.header("access-control-allow-credentials"), None);
    assert_eq!(asked.header("vary"), Some("origin"));

    let ann = client(&app, &signer, &user("ann"));
    let call = ann
        .call(Method::GET, "/api/users/ann/orders")
        .header("origin", SHOP);
    let reply = call.send().await.success(200);
    assert_eq!(allowed(&reply), Some(SHOP));
    let exposed = reply.header("access-control-expose-headers").unwrap();
    assert!(
        exposed.contains("etag") && exposed.contains("retry-after"),
        "{exposed}"
    );

    // A page hears why it was refused.
    let call = app
        .api
        .call(Method::GET, "/api/users/ann/orders")
        .header("origin", SHOP);
    let reply = call.send().await;
    reply.assert_error(401, "unauthenticated");
    assert_eq!(allowed(&reply), Some(SHOP));

    for origin in [
        EVIL,
        "https://shop.example.evil.example",
        "http://shop.example",
        "null",
    ] {
        let asked = preflight(&app, origin, &path).await;
        asked.assert_error(405, "method_not_allowed");
        assert_eq!(allowed(&asked), None, "{origin}");
        let call = ann
            .call(Method::GET, "/api/users/ann/orders")
            .header("origin", origin);
        let reply = call.send().await;
        assert_eq!(allowed(&reply), None, "{origin}");
        assert_eq!(reply.header("vary"), Some("origin"));
    }
    preflight(&app, SHOP, "/nothing")
        .await
        .assert_error(404, "not_found");
}

#[tokio::test]
async fn every_origin_may_call_a_service_that_asks_for_no_tokens() {
    let app = TestApp::builder()
        .variable("cors_allowed_origins", "*")
        .start()
        .await;

    let asked = preflight(&app, EVIL, "/api/orders").await;

    assert_eq!((asked.status, allowed(&asked)), (204, Some("*")));
    assert_eq!(
        asked.header("access-control-allow-methods"),
        Some("POST,GET,HEAD")
    );
}
