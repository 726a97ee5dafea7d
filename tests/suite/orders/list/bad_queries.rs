//! Queries that make no sense.

use order_service_tests::TestApp;
use order_service_tests::client::encode;

use super::pagination;

const CASES: [(&str, &str); 40] = [
    ("page=0", "/page"),
    ("page=-1", "/page"),
    ("page=1.5", "/page"),
    ("page=one", "/page"),
    ("page=", "/page"),
    ("page=%201", "/page"),
    ("page=1e3", "/page"),
    ("page=99999999999999999999999999", "/page"),
    ("page_size=0", "/page_size"),
    ("page_size=-5", "/page_size"),
    ("page_size=101", "/page_size"),
    ("page_size=ten", "/page_size"),
    ("page_size=", "/page_size"),
    ("page_size=4294967297", "/page_size"),
    ("status=paid", "/status"),
    ("status=PENDING", "/status"),
    ("status=", "/status"),
    ("user_id=", "/user_id"),
    ("user_id=%20%20", "/user_id"),
    ("user_id=a%00b", "/user_id"),
    ("created_from=yesterday", "/created_from"),
    ("created_from=2024-01-01", "/created_from"),
    ("created_from=2024-01-01T00:00:00", "/created_from"),
    ("created_from=2024-13-01T00:00:00Z", "/created_from"),
    ("created_from=2024-02-30T00:00:00Z", "/created_from"),
    ("created_from=", "/created_from"),
    ("created_to=0", "/created_to"),
    ("created_to=2024-01-01T25:00:00Z", "/created_to"),
    ("created_to=2024-01-01T00:00:00%2B25:00", "/created_to"),
    ("created_to=1700000000", "/created_to"),
    ("created_to=+2024-01-01T00:00:00Z", "/created_to"),
    ("user_id=%ff", "/user_id"),
    ("user_id=a%E2%82b", "/user_id"),
    ("page=1&page=1", "/page"),
    ("status=pending&status=pending", "/status"),
    ("status=pending%00", "/status"),
    ("page=%2B1", "/page"),
    ("cursor=", "/cursor"),
    ("cursor=garbage", "/cursor"),
    ("cursor=%00%ff", "/cursor"),
];

#[tokio::test]
async fn parameters_that_make_no_sense_are_named() {
    let app = TestApp::start().await;
    app.orders_of(&["a", "b"]).await;
    app.postgres.forget();

    for (query, pointer) in CASES {
        let reply = app.api.order_list(query).await;

        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "invalid_parameter"),
            "{query}"
        );
        reply.assert_error(400, "invalid_parameter");
        let problems = reply.problems();
        assert_eq!(problems.len(), 1, "{query}: {problems:?}");
        assert!(
            problems[0].starts_with(&format!("{pointer} ")),
            "{query}: {problems:?}"
        );
    }
    assert_eq!(
        app.postgres.seen(),
        [""; 0],
        "none of them is worth a query"
    );
}

#[tokio::test]
async fn all_parameters_that_make_no_sense_are_named_at_once() {
    let app = TestApp::start().await;

    let reply = app
        .api
        .order_list("page=0&page_size=101&status=paid&created_to=x")
        .await;

    reply.assert_error(400, "invalid_parameter");
    let mut pointers: Vec<String> = reply
        .problems()
        .iter()
        .map(|it| it.split(' ').next().unwrap().to_owned())
        .collect();
    pointers.sort();
    assert_eq!(pointers, ["/created_to", "/page", "/page_size", "/status"]);
}

#[tokio::test]
async fn unknown_parameters_are_ignored() {
    let app = TestApp::start().await;

    app.api
        .order_list("utm_source=mail&page_size=5&x")
        .await
        .assert_success(200);
}

#[tokio::test]
async fn cursors_that_were_changed_are_refused() {
    let app = TestApp::start().await;
    app.orders_of(&["a", "b", "a"]).await;
    let reply = app.api.order_list("page_size=1").await.success(200);
    let cursor = pagination(&reply, "next_cursor")
        .as_str()
        .unwrap()
        .to_owned();
    let mut changed = vec![cursor.repeat(2), format!("{cursor}="), format!("{cursor}A")];
    for length in 0..cursor.len() {
        changed.push(cursor[..length].to_owned());
    }
    for position in 0..cursor.len() {
        let mut characters: Vec<char> = cursor.chars().collect();
        characters[position] = if characters[position] == 'A' {
            'B'
        } else {
            'A'
        };
        changed.push(characters.into_iter().collect());
    }

    for changed in changed {
        let reply = app
            .api
            .order_list(&format!("page_size=1&cursor={}", encode(&changed)))
            .await;

        assert_eq!(
            reply.status,
            400,
            "{cursor} changed to {changed}: {}",
            reply.text()
        );
        reply.assert_error(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn cursors_of_another_list_are_refused() {
    let app = TestApp::start().await;
    app.orders_of(&["a", "b", "a", "b"]).await;
    let lists = [
        "",
        "user_id=a",
        "user_id=b",
        "status=pending",
        "user_id=a&status=pending",
    ];

    for list in lists {
        let reply = app
            .api
            .order_list(&format!("{list}&page_size=1"))
            .await
            .success(200);
        let cursor = encode(
            pagination(&reply, "next_cursor")
                .as_str()
                .expect("a cursor"),
        );
        for other in lists {
            let reply = app
                .api
                .order_list(&format!("{other}&page_size=1&cursor={cursor}"))
                .await;

            let expected = if list == other { 200 } else { 400 };
            assert_eq!(
                reply.status,
                expected,
                "{list} used for {other}: {}",
                reply.text()
            );
        }
    }
}

#[tokio::test]
async fn a_page_and_a_cursor_at_once_make_no_sense() {
    let app = TestApp::start().await;
    app.orders_of(&["a", "b"]).await;
    let reply = app.api.order_list("page_size=1").await.success(200);
    let cursor = encode(pagination(&reply, "next_cursor").as_str().unwrap());

    let reply = app
        .api
        .order_list(&format!("page=2&page_size=1&cursor={cursor}"))
        .await;

    reply.assert_error(400, "invalid_parameter");
}

#[tokio::test]
async fn pages_beyond_10_000_orders_are_too_deep() {
    let app = TestApp::start().await;

    for query in [
        "page=1000&page_size=10",
        "page=100&page_size=100",
        "page=10000&page_size=1",
    ] {
        app.api.order_list(query).await.assert_success(200);
    }
    for query in [
        "page=1001&page_size=10",
        "page=101&page_size=100",
        "page=4294967295",
    ] {
        let reply = app.api.order_list(query).await;

        assert_eq!(reply.status, 400, "{query}: {}", reply.text());
        reply.assert_error(400, "page_too_deep");
        assert!(
            reply.json()["message"].to_string().contains("cursor"),
            "{}",
            reply.text()
        );
    }
}
