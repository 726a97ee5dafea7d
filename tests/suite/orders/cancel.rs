//! `POST /api/orders/{id}/cancel`.

use order_service_tests::{Reply, TestApp};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

/// Cancels with any body, or without one, of any type, or of none.
async fn cancel(app: &TestApp, id: &str, content_type: Option<&str>, body: &str) -> Reply {
    let path = format!("/api/orders/{id}/cancel");
    let call = app.api.call(Method::POST, &path);
    let call = match content_type {
        Some(content_type) => call.header("content-type", content_type),
        None => call,
    };
    call.body(body).send().await
}

/// The reason that was recorded with the cancellation.
async fn db_reason(app: &TestApp, id: &str) -> Option<String> {
    let last = app.db_events(id).await.pop().expect("an event");
    assert_eq!(last.to, "cancelled");
    last.reason
}

#[tokio::test]
async fn a_pending_or_confirmed_order_is_cancelled() {
    let app = TestApp::start().await;

    for (status, version) in [("pending", 2), ("confirmed", 3)] {
        let id = app.an_order_that_is(status).await;

        let reply = app.api.order_cancel(&id).await.success(200);

        assert_eq!(reply.data()["status"], "cancelled");
        assert_eq!(reply.data()["version"], version);
        assert_eq!(reply.header("etag"), Some(&*format!("\"{version}\"")));
        assert_eq!(app.db_events(&id).await.len(), version);
        assert_eq!(db_reason(&app, &id).await, None);
    }
}

#[tokio::test]
async fn the_reason_is_kept_as_it_was_sent() {
    let app = TestApp::start().await;
    let longest = "ü".repeat(500);

    for reason in [
        "changed my mind",
        "two\nlines\tand a tab",
        "\u{1f4a5} ' \" \\ {{ }} $1 <b>",
        "  spaces  ",
        &longest,
    ] {
        let id = app.an_order_id().await;

        let reply = app.api.order_cancel_because(&id, reason).await;

        assert_eq!(reply.success(200).data()["status"], "cancelled");
        assert_eq!(db_reason(&app, &id).await.as_deref(), Some(reason));
    }
}

#[tokio::test]
async fn without_a_reason_there_is_none() {
    let app = TestApp::start().await;
    let json = Some("application/json");

    for (content_type, body) in [
        (None, ""),
        (json, ""),
        (Some("text/plain"), ""),
        (json, "{}"),
        (json, r#"{"reason":null}"#),
        (json, r#"{"because":"nothing"}"#),
        (Some("application/json; charset=utf-8"), " {} "),
    ] {
        let id = app.an_order_id().await;

        let reply = cancel(&app, &id, content_type, body).await;

        assert_eq!(
            reply.status,
            200,
            "{content_type:?} {body:?}: {}",
            reply.text()
        );
        assert_eq!(db_reason(&app, &id).await, None, "{body:?}");
    }
}

#[tokio::test]
async fn repeating_it_changes_nothing() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let first = app
        .api
        .order_cancel_because(&id, "the first")
        .await
        .success(200);

    let again = [
        app.api.order_cancel(&id).await,
        app.api.order_cancel_because(&id, "the second").await,
        app.api.order_set_status(&id, "cancelled").await,
    ];

    for reply in again {
        assert_eq!(reply.success(200).data(), first.data());
    }
    assert_eq!(db_reason(&app, &id).await.as_deref(), Some("the first"));
    assert_eq!(app.db_events(&id).await.len(), 2);
}

#[tokio::test]
async fn an_order_that_is_on_its_way_cannot_be_cancelled() {
    let app = TestApp::start().await;

    for status in ["shipped", "delivered"] {
        let id = app.an_order_that_is(status).await;
        let events = app.db_events(&id).await;

        for reply in [
            app.api.order_cancel(&id).await,
            app.api.order_cancel_because(&id, "too late").await,
        ] {
            reply.assert_error(409, "order_not_cancellable");
            assert!(reply.text().contains(status), "{}", reply.text());
        }
        assert_eq!(app.db_events(&id).await, events);
        let order = app.api.order_get(&id).await.success(200).data();
        assert_eq!(order["status"], status);
    }
}

#[tokio::test]
async fn a_bad_reason_is_a_400_that_points_to_it() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let cases = [
        (json!({"reason": "x".repeat(501)}), "/reason too_long"),
        (json!({"reason": "ü".repeat(501)}), "/reason too_long"),
        (json!({"reason": "a\u{0}b"}), "/reason control_character"),
        (json!({"reason": "a\u{7}b"}), "/reason control_character"),
        (json!({"reason": 1}), "/reason wrong_type"),
        (json!({"reason": ["why"]}), "/reason wrong_type"),
        (json!([]), " wrong_type"),
        (json!("because"), " wrong_type"),
        (json!(null), " wrong_type"),
    ];

    for (body, problem) in cases {
        let reply = cancel(&app, &id, Some("application/json"), &body.to_string()).await;

        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        reply.assert_error(400, "validation_failed");
        assert_eq!(reply.problems(), [problem], "{body}");
    }
    assert_eq!(app.db_events(&id).await.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let json = Some("application/json");
    let large = format!("{{\"reason\":\"{}\"}}", "x".repeat(64 * 1024));
    let cases = [
        (json, "{", 400, "invalid_json"),
        (json, "{} {}", 400, "invalid_json"),
        (json, r#"{"reason":"a","reason":"b"}"#, 400, "invalid_json"),
        (json, &large, 413, "payload_too_large"),
        (None, "{}", 415, "unsupported_media_type"),
        (Some("text/plain"), "{}", 415, "unsupported_media_type"),
        (
            Some("application/json; charset=latin1"),
            "{}",
            415,
            "unsupported_media_type",
        ),
    ];

    for (content_type, body, status, code) in cases {
        let reply = cancel(&app, &id, content_type, body).await;

        assert_eq!(reply.status, status, "{content_type:?}: {}", reply.text());
        reply.assert_error(status, code);
    }
    assert_eq!(app.db_events(&id).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_order_is_a_404_and_no_uuid_a_400() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    let unknown = app.api.order_cancel(&Uuid::new_v4().to_string()).await;
    unknown.assert_error(404, "order_not_found");
    for case in [
        "1".to_owned(),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        id.replace('-', ""),
    ] {
        app.api
            .order_cancel(&case)
            .await
            .assert_error(400, "invalid_order_id");
    }
    assert_eq!(app.db_events(&id).await.len(), 1);
}

#[tokio::test]
async fn upper_case_uuids_are_the_same_order() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    let reply = app.api.order_cancel(&id.to_uppercase()).await;

    assert_eq!(reply.success(200).data()["id"], id);
}

#[tokio::test]
async fn other_methods_are_a_405() {
    let app = TestApp::start().await;
    let path = format!("/api/orders/{}/cancel", app.an_order_id().await);

    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ] {
        let reply = app.api.call(method.clone(), &path).send().await;

        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some("POST"), "{method}");
    }
}

#[tokio::test]
async fn a_cached_order_is_seen_as_cancelled_at_once() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.api.order_get(&id).await.assert_success(200);
    app.until_cached(&id).await;

    let cancelled = app.api.order_cancel(&id).await.success(200);
    app.postgres.forget();
    let read = app.api.order_get(&id).await.success(200);

    assert_eq!(read.data(), cancelled.data());
    assert_eq!(app.postgres.seen(), [""; 0], "it comes from the cache");
}
