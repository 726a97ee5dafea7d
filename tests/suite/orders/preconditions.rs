//! `ETag`, `If-Match` and `If-None-Match` on orders.

use order_service_tests::{Reply, TestApp};
use reqwest::Method;
use serde_json::json;

async fn get(app: &TestApp, id: &str, name: &str, value: &str) -> Reply {
    let path = format!("/api/orders/{id}");
    app.api
        .call(Method::GET, &path)
        .header(name, value)
        .send()
        .await
}

async fn set_status(app: &TestApp, id: &str, status: &str, if_match: &str) -> Reply {
    let path = format!("/api/orders/{id}/status");
    let call = app
        .api
        .call(Method::PATCH, &path)
        .header("if-match", if_match);
    call.json(&json!({ "status": status })).send().await
}

#[tokio::test]
async fn who_has_the_order_already_gets_a_304() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "\"a,b\",\"1\"", "*"] {
        let reply = get(&app, &id, "if-none-match", known).await;
        assert_eq!((reply.status, reply.body.len()), (304, 0), "{known}");
        assert_eq!(reply.header("etag"), Some("\"1\""));
        assert_eq!(reply.header("cache-control"), Some("private, no-cache"));
        assert_eq!(reply.header("content-type"), None);
    }
    for unknown in ["\"2\"", "1", "\"1", "", "\"01\"", ","] {
        let reply = get(&app, &id, "if-none-match", unknown).await;
        reply.assert_success(200);
    }
    app.api.order_cancel(&id).await.assert_success(200);
    let reply = get(&app, &id, "if-none-match", "\"1\"").await.success(200);
    assert_eq!(reply.header("etag"), Some("\"2\""));
    let reply = get(
        &app,
        "0190b6a0-0000-7000-8000-000000000001",
        "if-none-match",
        "*",
    )
    .await;
    reply.assert_error(404, "order_not_found");
}

#[tokio::test]
async fn a_304_of_a_cached_order_costs_no_sql() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.until_cached(&id).await;
    app.postgres.refuse().await;

    for _ in 0..20 {
        let reply = get(&app, &id, "if-none-match", "\"1\"").await;
        assert_eq!(reply.status, 304);
    }
}

#[tokio::test]
async fn only_the_version_that_was_meant_is_changed() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    for stale in ["\"2\"", "W/\"1\"", "1", "\"1", "\"01\"", "", "\"a\", \"b\""] {
        let reply = set_status(&app, &id, "confirmed", stale).await;
        reply.assert_error(412, "version_mismatch");
        assert_eq!(reply.header("etag"), Some("\"1\""), "{stale}");
    }
    assert_eq!(app.db_events(&id).await.len(), 1, "nothing has changed");
    let reply = set_status(&app, &id, "confirmed", "\"1\"")
        .await
        .success(200);
    assert_eq!(reply.header("etag"), Some("\"2\""));
    // The one who repeats a change that got through learns that it has another version now.
    let reply = set_status(&app, &id, "confirmed", "\"1\"").await;
    reply.assert_error(412, "version_mismatch");
    let reply = set_status(&app, &id, "shipped", "\"9\", \"2\"").await;
    reply.assert_success(200);
    let reply = set_status(&app, &id, "shipped", "*").await;
    reply.assert_success(200);
}

#[tokio::test]
async fn the_version_is_asked_for_before_the_transition_and_after_the_order() {
    let app = TestApp::start().await;
    let id = app.an_order_that_is("delivered").await;

    let stale = set_status(&app, &id, "pending", "\"1\"").await;
    let fresh = set_status(&app, &id, "pending", "\"4\"").await;
    let missing = set_status(
        &app,
        "0190b6a0-0000-7000-8000-000000000001",
        "shipped",
        "\"1\"",
    )
    .await;

    stale.assert_error(412, "version_mismatch");
    fresh.assert_error(409, "invalid_status_transition");
    missing.assert_error(404, "order_not_found");
}

#[tokio::test]
async fn cancelling_and_reading_know_if_match_too() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let cancel = async |if_match: &str| {
        let path = format!("/api/orders/{id}/cancel");
        let call = app.api.call(Method::POST, &path);
        call.header("if-match", if_match).send().await
    };

    cancel("\"3\"").await.assert_error(412, "version_mismatch");
    get(&app, &id, "if-match", "\"3\"")
        .await
        .assert_error(412, "version_mismatch");
    get(&app, &id, "if-match", "\"1\"")
        .await
        .assert_success(200);
    cancel("\"1\"").await.assert_success(200);
}

#[tokio::test]
async fn of_many_who_meant_the_same_version_one_changes_it() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    let clients = (0..40).map(|number| {
        let status = if number % 2 == 0 {
            "confirmed"
        } else {
            "cancelled"
        };
        set_status(&app, &id, status, "\"1\"")
    });
    let replies = futures_util::future::join_all(clients).await;

    let made = replies.iter().filter(|reply| reply.status == 200).count();
    let stale = replies.iter().filter(|reply| reply.status == 412).count();
    assert_eq!((made, stale), (1, 39));
    assert_eq!(app.db_events(&id).await.len(), 2);
}

#[tokio::test]
async fn what_is_to_change_unless_it_is_known_does_not_change_if_it_is() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let cancel = async |known: &str| {
        let call = app
            .api
            .call(Method::POST, &format!("/api/orders/{id}/cancel"));
        call.header("if-none-match", known).send().await
    };

    for known in ["\"1\"", "W/\"1\"", "*"] {
        let reply = cancel(known).await;
        reply.assert_error(412, "version_mismatch");
    }
    let order = app.api.order_get(&id).await.success(200).data();
    assert_eq!(
        (&order["status"], &order["version"]),
        (&json!("pending"), &json!(1))
    );
    cancel("\"2\"").await.assert_success(200);
}
