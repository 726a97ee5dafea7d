//! `GET /api/orders/{id}`.

use order_service_tests::TestApp;
use reqwest::Method;
use uuid::Uuid;

#[tokio::test]
async fn an_order_is_read_as_it_was_created() {
    let app = TestApp::start().await;
    let order = app.an_order().await;

    let reply = app
        .api
        .order_get(order["id"].as_str().unwrap())
        .await
        .success(200);

    assert_eq!(reply.data(), order);
    assert_eq!(reply.raw("/data/total_amount"), "10.00");
    assert_eq!(reply.header("etag"), Some(r#""1""#));
    assert!(
        reply
            .header("cache-control")
            .is_some_and(|it| it.contains("private"))
    );
}

#[tokio::test]
async fn a_cached_order_is_read_without_sql() {
    let app = TestApp::start().await;
    let order = app.an_order().await;
    let id = order["id"].as_str().unwrap();
    app.api.order_get(id).await.assert_success(200);
    app.until_cached(id).await;
    app.postgres.forget();
    app.redis.forget();

    let reply = app.api.order_get(id).await.success(200);

    assert_eq!(reply.data(), order);
    assert_eq!(app.postgres.seen(), [""; 0], "no SQL at all");
    assert!(
        app.redis.seen().iter().any(|command| command.contains(id)),
        "{:?}",
        app.redis.seen()
    );
}

#[tokio::test]
async fn an_uncached_order_is_read_by_one_statement_and_cached_with_an_expiry() {
    let app = TestApp::builder()
        .variable("order_cache_ttl_s", 120)
        .start()
        .await;
    let id = app.an_order_id().await;
    let key = app.redis_key(&format!("order:{id}"));
    forget_everything(&app, &key).await;

    app.api.order_get(&id).await.assert_success(200);

    let statements = app.postgres.seen();
    order_service_tests::wait::until("the order is cached", async || app.is_cached(&id).await)
        .await;
    assert_eq!(statements.len(), 1, "{statements:#?}");
    let ttl_s: i64 = app.redis_command(redis::cmd("ttl").arg(&key)).await;
    assert!((1..=120).contains(&ttl_s), "{ttl_s}");
}

/// Empties the cache, once nothing is on its way into it any more.
async fn forget_everything(app: &TestApp, key: &str) {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let _removed: i64 = app.redis_command(redis::cmd("del").arg(key)).await;
    app.postgres.forget();
    app.redis.forget();
}

#[tokio::test]
async fn a_cache_entry_that_makes_no_sense_is_not_believed() {
    let app = TestApp::start().await;
    let order = app.an_order().await;
    let id = order["id"].as_str().unwrap();
    let key = app.redis_key(&format!("order:{id}"));

    for garbage in [
        "",
        "{",
        "null",
        "[]",
        r#"{"version":1}"#,
        "\u{0}\u{1}",
        "9999999999999999999",
    ] {
        forget_everything(&app, &key).await;
        let _: String = app
            .redis_command(redis::cmd("set").arg(&key).arg(garbage))
            .await;

        let reply = app.api.order_get(id).await;

        assert_eq!(reply.status, 200, "{garbage:?}: {}", reply.text());
        assert_eq!(reply.data(), order, "{garbage:?}");
    }
}

#[tokio::test]
async fn a_cache_key_of_another_type_does_no_harm() {
    let app = TestApp::start().await;
    let order = app.an_order().await;
    let id = order["id"].as_str().unwrap();
    let key = app.redis_key(&format!("order:{id}"));
    forget_everything(&app, &key).await;
    let _: i64 = app
        .redis_command(redis::cmd("rpush").arg(&key).arg("a list"))
        .await;

    let reply = app.api.order_get(id).await.success(200);

    assert_eq!(reply.data(), order);
}

#[tokio::test]
async fn an_unknown_order_is_a_404_and_is_not_cached() {
    let app = TestApp::start().await;

    for id in [
        Uuid::new_v4().to_string(),
        Uuid::nil().to_string(),
        Uuid::max().to_string(),
    ] {
        app.api
            .order_get(&id)
            .await
            .assert_error(404, "order_not_found");
        app.api
            .order_get(&id)
            .await
            .assert_error(404, "order_not_found");
    }
}

#[tokio::test]
async fn what_is_no_uuid_is_a_400() {
    let app = TestApp::start().await;
    let id = Uuid::new_v4().to_string();
    let shorter = &id[..35];
    let cases = [
        "1",
        "abc",
        "order",
        shorter,
        &format!("{id}0"),
        &format!("{{{id}}}"),
        &format!("urn:uuid:{id}"),
        &id.replace('-', ""),
        &id.replace('-', "_"),
        &format!("{shorter}g"),
        &format!(" {id}"),
        &format!("{id}\u{0}"),
        "' or 1=1 --",
        "null",
        "%00",
        "\u{1f4a5}",
        &"a".repeat(2000),
    ];

    for case in cases {
        let reply = app.api.order_get(case).await;

        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "invalid_order_id"),
            "{case:?}"
        );
        reply.assert_error(400, "invalid_order_id");
    }
    assert_eq!(
        app.postgres.seen(),
        [""; 0],
        "none of them is worth a query"
    );
}

#[tokio::test]
async fn a_path_that_is_not_utf_8_is_a_400_or_404() {
    let app = TestApp::start().await;

    for path in [
        "/api/orders/%ff",
        "/api/orders/%c3%28",
        "/api/orders/%e2%82",
    ] {
        let reply = app.api.get(path).await;

        assert!(
            [400, 404].contains(&reply.status),
            "{path}: {}",
            reply.text()
        );
        reply.assert_error(reply.status, &reply.code());
    }
}

#[tokio::test]
async fn upper_case_uuids_are_the_same_order() {
    let app = TestApp::start().await;
    let order = app.an_order().await;
    let id = order["id"].as_str().unwrap();

    let reply = app.api.order_get(&id.to_uppercase()).await.success(200);

    assert_eq!(reply.data(), order);
}

#[tokio::test]
async fn head_says_the_same_without_a_body() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    let reply = app
        .api
        .call(Method::HEAD, &format!("/api/orders/{id}"))
        .send()
        .await;
    let missing = app
        .api
        .call(Method::HEAD, &format!("/api/orders/{}", Uuid::new_v4()))
        .send()
        .await;

    assert_eq!((reply.status, missing.status), (200, 404));
    assert_eq!(
        (reply.text(), missing.text()),
        (String::new(), String::new())
    );
    assert_eq!(reply.header("etag"), Some(r#""1""#));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}
