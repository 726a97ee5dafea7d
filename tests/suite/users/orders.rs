//! `GET /api/users/{user_id}/orders`.

use order_service_tests::TestApp;
use order_service_tests::client::encode;
use reqwest::Method;

#[tokio::test]
async fn a_user_has_exactly_their_own_orders_newest_first() {
    let app = TestApp::start().await;
    let all = app.orders_of(&["ann", "bob", "ann", "Ann", "ann "]).await;

    let reply = app.api.user_orders("ann", "").await.success(200);

    assert_eq!(reply.ids(), [all[2].clone(), all[4].clone()]);
    assert_eq!(reply.json()["pagination"]["total"], 2);
    assert_eq!(reply.raw("/data/0/total_amount"), "10.00");
    assert_eq!(reply.data()[0]["order_items"][0]["product_id"], "p1");
}

#[tokio::test]
async fn an_unknown_user_has_no_orders() {
    let app = TestApp::start().await;
    app.an_order().await;

    let reply = app.api.user_orders("nobody", "").await.success(200);

    assert_eq!(reply.raw("/data"), "[]");
    assert_eq!(reply.json()["pagination"]["total"], 0);
}

#[tokio::test]
async fn ids_of_users_may_be_any_text() {
    let app = TestApp::start().await;
    let longest = "ü".repeat(255);
    let users = [
        "a/b",
        "a?b=c",
        "a#b",
        "a b",
        "a+b",
        "a&status=shipped",
        "100%",
        "%41",
        "a\\b",
        "a;b,c",
        "{user_id}",
        "...",
        "ann@example.com",
        "北京",
        "' or 1=1 --",
        &longest,
    ];

    for user in users {
        let all = app.orders_of(&[user, user]).await;
        let reply = app.api.user_orders(user, "page_size=1").await;

        assert_eq!(reply.status, 200, "{user}: {}", reply.text());
        assert_eq!(reply.ids(), all[..1], "{user}");
        assert_eq!(reply.json()["pagination"]["total"], 2, "{user}");
        // The link can be followed as it is.
        let link = reply.header("link").expect("a link").to_owned();
        let path = link.split(['<', '>']).nth(1).expect("a target");
        let next = app.api.get(path).await;
        assert_eq!(next.status, 200, "{user}: {path}: {}", next.text());
        assert_eq!(next.ids(), all[1..], "{user}: {path}");
        assert_eq!(next.header("link"), None);
    }
}

#[tokio::test]
async fn a_plus_is_a_plus_in_a_path_and_a_space_in_a_query() {
    let app = TestApp::start().await;
    let all = app.orders_of(&["a+b", "a b", ".."]).await;

    for (path, expected) in [
        ("/api/users/a+b/orders", &all[2..]),
        ("/api/users/a%2Bb/orders", &all[2..]),
        ("/api/users/a%20b/orders", &all[1..2]),
        ("/api/orders?user_id=a%2Bb", &all[2..]),
        ("/api/orders?user_id=a+b", &all[1..2]),
        ("/api/orders?user_id=a%20b", &all[1..2]),
        ("/api/orders?user_id=..", &all[..1]),
    ] {
        let reply = app.api.get(path).await;

        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.ids(), expected, "{path}");
    }
}

#[tokio::test]
async fn the_user_of_the_path_counts_and_no_other() {
    let app = TestApp::start().await;
    let all = app.orders_of(&["ann", "bob"]).await;

    let reply = app.api.user_orders("ann", "user_id=bob").await.success(200);

    assert_eq!(reply.ids(), all[1..]);
}

#[tokio::test]
async fn head_says_the_same_without_a_body_and_other_methods_are_a_405() {
    let app = TestApp::start().await;
    app.orders_of(&["ann", "ann"]).await;
    let path = "/api/users/ann/orders?page_size=1";
    let get = app.api.get(path).await.success(200);

    let head = app.api.call(Method::HEAD, path).send().await;
    let post = app.api.call(Method::POST, path).send().await;

    assert_eq!((head.status, head.text().as_str()), (200, ""));
    assert_eq!(head.header("link"), get.header("link"));
    post.assert_error(405, "method_not_allowed");
    let allow = post.header("allow").unwrap_or_default();
    assert!(allow.contains("GET") && allow.contains("HEAD"), "{allow}");
}

#[tokio::test]
async fn a_history_takes_one_statement() {
    let app = TestApp::start().await;
    app.orders_of(&["ann"; 5]).await;
    app.postgres.forget();

    app.api.user_orders("ann", "").await.assert_success(200);

    assert_eq!(app.postgres.seen().len(), 1, "{:#?}", app.postgres.seen());
}

#[tokio::test]
async fn ids_that_no_user_can_have_are_refused() {
    let app = TestApp::start().await;
    let too_long = "x".repeat(256);

    for (user, code) in [
        (" ", "blank"),
        ("a\u{0}", "control_character"),
        ("a\nb", "control_character"),
        ("a\u{7f}", "control_character"),
        (too_long.as_str(), "too_long"),
    ] {
        let reply = app.api.user_orders(user, "").await;

        assert_eq!(reply.status, 400, "{user:?}: {}", reply.text());
        reply.assert_error(400, "invalid_parameter");
        assert_eq!(reply.problems(), [format!("/user_id {code}")], "{user:?}");
    }
    for path in ["/api/users/%ff/orders", "/api/users/a%c3%28/orders"] {
        let reply = app.api.get(path).await;

        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        reply.assert_error(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn filters_pages_and_cursors_work_as_in_the_list_of_all() {
    let app = TestApp::start().await;
    let all = app.orders_of(&["ann", "ann", "bob", "ann"]).await;
    let of_ann = [all[0].clone(), all[2].clone(), all[3].clone()];
    app.api.order_cancel(&all[2]).await.assert_success(200);

    let second = app
        .api
        .user_orders("ann", "page=2&page_size=2")
        .await
        .success(200);
    let cancelled = app
        .api
        .user_orders("ann", "status=cancelled")
        .await
        .success(200);
    let first = app.api.user_orders("ann", "page_size=2").await.success(200);
    let cursor = first.json()["pagination"]["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let next = format!("page_size=2&cursor={}", encode(&cursor));
    let rest = app.api.user_orders("ann", &next).await.success(200);
    let elsewhere = app.api.user_orders("bob", &next).await;

    assert_eq!(second.ids(), of_ann[2..]);
    assert_eq!(cancelled.ids(), of_ann[1..2]);
    assert_eq!(first.ids(), of_ann[..2]);
    assert_eq!(rest.ids(), of_ann[2..]);
    assert_eq!(
        rest.json()["pagination"]["next_cursor"],
        serde_json::Value::Null
    );
    elsewhere.assert_error(400, "invalid_parameter");
    let link = first.header("link").expect("a link");
    assert!(link.contains("/api/users/ann/orders?"), "{link}");
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused() {
    let app = TestApp::start().await;

    for query in [
        "page=0",
        "page_size=101",
        "status=paid",
        "cursor=x",
        "created_from=now",
    ] {
        app.api
            .user_orders("ann", query)
            .await
            .assert_error(400, "invalid_parameter");
    }
    let deep = app.api.user_orders("ann", "page=101&page_size=100").await;
    deep.assert_error(400, "page_too_deep");
}
