//! `PATCH /api/orders/{id}/status`.

use order_service_tests::TestApp;
use order_service_tests::lifecycle::{STATUSES, allowed_after};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_change_returns_the_order_with_its_new_version() {
    let app = TestApp::start().await;
    let before = app.an_order().await;
    let id = before["id"].as_str().unwrap();

    let reply = app.api.order_set_status(id, "confirmed").await.success(200);

    let order = reply.data();
    assert_eq!(order["status"], "confirmed");
    assert_eq!(order["version"], 2);
    assert_eq!(reply.header("etag"), Some(r#""2""#));
    assert!(
        reply
            .header("cache-control")
            .is_some_and(|it| it.contains("private"))
    );
    assert!(time(&order, "updated_at") > time(&before, "updated_at"));
    let mut expected = before;
    for name in ["status", "version", "updated_at"] {
        expected[name] = order[name].clone();
    }
    assert_eq!(order, expected, "nothing else has changed");
    assert_eq!(reply.raw("/data/total_amount"), "10.00");
}

/// Times of the same length and zone sort like texts.
fn time(order: &Value, name: &str) -> String {
    let text = order[name].as_str().unwrap_or_default();
    assert!(text.ends_with('Z'), "{text}");
    text.to_owned()
}

#[tokio::test]
async fn every_change_is_allowed_or_refused_as_the_contract_says() {
    let app = TestApp::start().await;

    for from in STATUSES {
        for to in STATUSES {
            let id = app.an_order_that_is(from).await;
            let events = app.db_events(&id).await;

            let reply = app.api.order_set_status(&id, to).await;

            let (is_allowed, is_same) = (allowed_after(from).contains(&to), from == to);
            if is_allowed || is_same {
                reply.assert_success(200);
                let version = events.len() + usize::from(is_allowed);
                assert_eq!(reply.data()["status"], to, "{from} → {to}");
                assert_eq!(reply.data()["version"], version, "{from} → {to}");
                assert_eq!(reply.header("etag"), Some(&*format!("\"{version}\"")));
            } else {
                reply.assert_error(409, "invalid_status_transition");
                assert_names_what_is_allowed(from, &reply.json());
            }
            let recorded = app.db_events(&id).await.split_off(events.len());
            assert_eq!(recorded.len(), usize::from(is_allowed), "{from} → {to}");
        }
    }
}

fn assert_names_what_is_allowed(from: &str, envelope: &Value) {
    let message = envelope["message"].as_str().unwrap();
    for status in allowed_after(from) {
        assert!(message.contains(status), "{status} in {message}");
    }
    if allowed_after(from).is_empty() {
        assert!(message.contains("final"), "{message}");
    }
}

#[tokio::test]
async fn the_whole_life_of_an_order_is_recorded() {
    let app = TestApp::start().await;

    let id = app.an_order_that_is("delivered").await;

    let events = app.db_events(&id).await;
    let statuses: Vec<&str> = events.iter().map(|event| event.to.as_str()).collect();
    assert_eq!(statuses, ["pending", "confirmed", "shipped", "delivered"]);
    assert!(events.iter().all(|event| event.reason.is_none()));
    assert_eq!(
        app.api.order_get(&id).await.success(200).data()["version"],
        4
    );
}

#[tokio::test]
async fn a_change_is_one_statement() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.postgres.forget();

    for (status, code) in [("confirmed", 200), ("confirmed", 200), ("pending", 409)] {
        let reply = app.api.order_set_status(&id, status).await;

        assert_eq!(reply.status, code, "{}", reply.text());
        let statements = app.postgres.seen();
        assert_eq!(statements.len(), 1, "{statements:#?}");
        app.postgres.forget();
    }
}

#[tokio::test]
async fn an_unknown_order_is_a_404() {
    let app = TestApp::start().await;

    for id in [Uuid::new_v4(), Uuid::nil(), Uuid::max()] {
        let reply = app.api.order_set_status(&id.to_string(), "confirmed").await;

        reply.assert_error(404, "order_not_found");
    }
}

#[tokio::test]
async fn what_is_no_uuid_is_a_400() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    for case in [
        "1".to_owned(),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        id.replace('-', ""),
        format!("{id}0"),
        format!(" {id}"),
    ] {
        let reply = app.api.order_set_status(&case, "confirmed").await;

        assert_eq!(reply.status, 400, "{case}");
        reply.assert_error(400, "invalid_order_id");
    }
    assert_eq!(app.db_events(&id).await.len(), 1);
}

#[tokio::test]
async fn upper_case_uuids_are_the_same_order() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    let reply = app
        .api
        .order_set_status(&id.to_uppercase(), "confirmed")
        .await;

    assert_eq!(reply.success(200).data()["id"], id);
}

#[tokio::test]
async fn an_unknown_status_is_a_400_that_points_to_it() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let cases = [
        (json!({"status": "lost"}), "unknown_status"),
        (json!({"status": "Confirmed"}), "unknown_status"),
        (json!({"status": " confirmed"}), "unknown_status"),
        (json!({"status": "confirmed\u{0}"}), "unknown_status"),
        (json!({"status": ""}), "unknown_status"),
        (json!({"status": "x".repeat(10_000)}), "unknown_status"),
        (json!({"status": 1}), "wrong_type"),
        (json!({"status": true}), "wrong_type"),
        (json!({"status": ["confirmed"]}), "wrong_type"),
        (json!({"status": {"to": "confirmed"}}), "wrong_type"),
        (json!({"status": null}), "required"),
        (json!({"Status": "confirmed"}), "required"),
        (json!({}), "required"),
    ];

    for (body, code) in cases {
        let reply = set_status(&app, &id, "application/json", &body.to_string()).await;

        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        reply.assert_error(400, "validation_failed");
        assert_eq!(reply.problems(), [format!("/status {code}")], "{body}");
    }
    assert_eq!(app.db_events(&id).await.len(), 1);
}

async fn set_status(
    app: &TestApp,
    id: &str,
    content_type: &str,
    body: &str,
) -> order_service_tests::Reply {
    let path = format!("/api/orders/{id}/status");
    let call = app.api.call(Method::PATCH, &path);
    let call = call.header("content-type", content_type);
    call.body(body).send().await
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_a_400() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let repeated = r#"{"status":"confirmed","status":"cancelled"}"#;

    for body in [
        "",
        " ",
        "{",
        "confirmed",
        r#"{"status":"confirmed"} x"#,
        repeated,
    ] {
        let reply = set_status(&app, &id, "application/json", body).await;

        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        reply.assert_error(400, "invalid_json");
    }
    for body in ["null", "[]", r#""confirmed""#, "1"] {
        let reply = set_status(&app, &id, "application/json", body).await;

        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        reply.assert_error(400, "validation_failed");
        assert_eq!(reply.problems(), [" wrong_type"], "{body}");
    }
    assert_eq!(app.db_events(&id).await.len(), 1);
}

#[tokio::test]
async fn a_body_of_another_type_is_a_415_and_a_large_one_a_413() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let body = r#"{"status":"confirmed"}"#;

    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "json",
        "",
    ] {
        let reply = set_status(&app, &id, content_type, body).await;

        assert_eq!(reply.status, 415, "{content_type}: {}", reply.text());
        reply.assert_error(415, "unsupported_media_type");
    }
    let padding = " ".repeat(64 * 1024);
    let large = set_status(&app, &id, "application/json", &format!("{body}{padding}")).await;

    large.assert_error(413, "payload_too_large");
    assert_eq!(app.db_events(&id).await.len(), 1);
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    let body = r#"{"reason":1,"status":"confirmed","version":{"a":[]}}"#;
    let reply = set_status(&app, &id, "application/merge-patch+json", body).await;

    assert_eq!(reply.success(200).data()["status"], "confirmed");
}

#[tokio::test]
async fn other_methods_are_a_405() {
    let app = TestApp::start().await;
    let path = format!("/api/orders/{}/status", app.an_order_id().await);

    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::DELETE,
    ] {
        let reply = app.api.call(method.clone(), &path).send().await;

        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some("PATCH"), "{method}");
        if method != Method::HEAD {
            reply.assert_error(405, "method_not_allowed");
        }
    }
}

#[tokio::test]
async fn a_cached_order_shows_its_change_at_once() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.api.order_get(&id).await.assert_success(200);
    app.until_cached(&id).await;

    for (version, status) in [(2, "confirmed"), (3, "shipped"), (4, "delivered")] {
        let changed = app.api.order_set_status(&id, status).await.success(200);
        app.postgres.forget();
        let read = app.api.order_get(&id).await.success(200);

        assert_eq!(read.data(), changed.data());
        assert_eq!(read.data()["version"], version);
        assert_eq!(app.postgres.seen(), [""; 0], "it comes from the cache");
    }
}

#[tokio::test]
async fn a_cached_order_shows_its_change_even_when_redis_was_away_meanwhile() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.api.order_get(&id).await.assert_success(200);
    app.until_cached(&id).await;

    app.redis.refuse().await;
    let changed = app
        .api
        .order_set_status(&id, "confirmed")
        .await
        .success(200);
    let read_meanwhile = app.api.order_get(&id).await.success(200);
    app.redis.restore().await;

    assert_eq!(read_meanwhile.data(), changed.data());
    // The old entry is still in Redis; the service puts it right on its own.
    order_service_tests::wait::until("the cache has the change", async || {
        app.postgres.forget();
        let read = app.api.order_get(&id).await.success(200);
        read.data() == changed.data() && app.postgres.seen().is_empty()
    })
    .await;
    for _ in 0..20 {
        let read = app.api.order_get(&id).await.success(200);
        assert_eq!(read.data(), changed.data(), "and it stays so");
    }
}

#[tokio::test]
async fn a_hanging_redis_does_not_hold_up_a_change_for_long() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.until_cached(&id).await;

    app.redis.hang().await;
    let changed = app.api.order_set_status(&id, "confirmed").await;
    app.redis.restore().await;

    changed.assert_success(200);
    assert!(changed.elapsed.as_secs() < 4, "{:?}", changed.elapsed);
    order_service_tests::wait::until("the change is read", async || {
        app.api.order_get(&id).await.success(200).data() == changed.data()
    })
    .await;
}

#[tokio::test]
async fn without_postgres_nothing_changes() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    app.postgres.refuse().await;
    let confirm = app.api.order_set_status(&id, "confirmed").await;
    let cancel = app.api.order_cancel(&id).await;
    app.postgres.restore().await;

    confirm.assert_error(503, "database_unavailable");
    cancel.assert_error(503, "database_unavailable");
    assert_eq!(app.db_events(&id).await.len(), 1);
}
