//! `GET /api/orders`.

mod bad_queries;
mod moments;
mod walk;

use order_service_tests::bodies::{line, order_but, order_with_lines};
use order_service_tests::{Reply, TestApp};
use serde_json::Value;

fn pagination(reply: &Reply, name: &str) -> Value {
    reply.json()["pagination"][name].take()
}

#[tokio::test]
async fn orders_are_listed_newest_first_with_their_lines() {
    let app = TestApp::start().await;
    app.products.set_price("p2", "0.10");
    let first = app
        .api
        .order_create(&order_with_lines(vec![line("p2", 3), line("p1", 1)]))
        .await;
    let second = app.an_order().await;

    let reply = app.api.order_list("").await.success(200);

    assert_eq!(reply.data(), Value::from(vec![second, first.data()]));
    assert_eq!(reply.raw("/data/1/total_amount"), "10.30");
    assert_eq!(reply.raw("/data/1/order_items/0/subtotal"), "0.30");
    for (name, value) in [
        ("page", 1),
        ("page_size", 10),
        ("total", 2),
        ("total_pages", 1),
    ] {
        assert_eq!(pagination(&reply, name), value, "{name}");
    }
    assert_eq!(pagination(&reply, "next_cursor"), Value::Null);
    assert_eq!(reply.header("link"), None);
    assert!(
        reply
            .header("cache-control")
            .is_some_and(|it| it.contains("private"))
    );
}

#[tokio::test]
async fn a_list_of_nothing_is_empty() {
    let app = TestApp::start().await;

    let reply = app.api.order_list("").await.success(200);

    assert_eq!(reply.raw("/data"), "[]");
    for (name, value) in [
        ("page", 1),
        ("page_size", 10),
        ("total", 0),
        ("total_pages", 0),
    ] {
        assert_eq!(pagination(&reply, name), value, "{name}");
    }
    assert_eq!(pagination(&reply, "next_cursor"), Value::Null);
}

#[tokio::test]
async fn pages_have_the_size_that_was_asked_for() {
    let app = TestApp::start().await;
    let all = app.orders_of(&["u"; 7]).await;

    for (query, expected) in [
        ("page_size=3", &all[..3]),
        ("page=1&page_size=3", &all[..3]),
        ("page=2&page_size=3", &all[3..6]),
        ("page=3&page_size=3", &all[6..]),
        ("page=4&page_size=3", &[]),
        ("page_size=7", &all[..]),
        ("page_size=100", &all[..]),
        ("page=7&page_size=1", &all[6..]),
    ] {
        let reply = app.api.order_list(query).await;

        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        assert_eq!(reply.ids(), expected, "{query}");
        assert_eq!(pagination(&reply, "total"), 7, "{query}");
        if query.ends_with("page_size=3") {
            assert_eq!(pagination(&reply, "total_pages"), 3, "{query}");
        }
    }
}

#[tokio::test]
async fn cursor_and_link_lead_to_the_next_page_until_there_is_none() {
    let app = TestApp::start().await;
    let all = app.orders_of(&["u"; 7]).await;
    let mut reply = app.api.order_list("page_size=3").await.success(200);
    let mut seen = reply.ids();

    while let Some(cursor) = pagination(&reply, "next_cursor").as_str() {
        let link = reply
            .header("link")
            .expect("a link to the next page")
            .to_owned();
        let target = link.strip_prefix('<').and_then(|link| link.split_once('>'));
        let (target, rest) = target.unwrap_or_else(|| panic!("{link}"));
        assert_eq!(rest.replace(' ', ""), r#";rel="next""#);
        let path = target
            .find("/api/")
            .map(|start| &target[start..])
            .expect("a path");
        let cursor = order_service_tests::client::encode(cursor);
        reply = app
            .api
            .order_list(&format!("page_size=3&cursor={cursor}"))
            .await
            .success(200);
        let linked = app.api.get(path).await.success(200);

        assert_eq!(
            reply.data(),
            linked.data(),
            "the link leads to the same page"
        );
        assert!(
            reply.json()["pagination"].get("page").is_none(),
            "{}",
            reply.text()
        );
        assert_eq!(pagination(&reply, "total"), 7);
        assert_eq!(pagination(&reply, "page_size"), 3);
        seen.extend(reply.ids());
    }

    assert_eq!(seen, all);
    assert_eq!(reply.header("link"), None);
}

#[tokio::test]
async fn filters_narrow_the_list_and_its_total() {
    let app = TestApp::start().await;
    let all = app.orders_of(&["a", "b", "a", "c", "a"]).await;
    app.api
        .order_set_status(&all[0], "confirmed")
        .await
        .assert_success(200);
    app.api.order_cancel(&all[1]).await.assert_success(200);
    let middle = app.api.order_get(&all[2]).await.data()["created_at"]
        .as_str()
        .unwrap()
        .to_owned();
    let in_zone = format!("{}%2B00:00", middle.trim_end_matches('Z'));
    let (from, to) = (
        format!("created_from={middle}"),
        format!("created_to={middle}"),
    );

    let cases = [
        ("user_id=a".to_owned(), vec![0, 2, 4]),
        ("user_id=nobody".to_owned(), vec![]),
        ("status=pending".to_owned(), vec![2, 3, 4]),
        ("status=confirmed".to_owned(), vec![0]),
        ("status=delivered".to_owned(), vec![]),
        ("user_id=a&status=pending".to_owned(), vec![2, 4]),
        (from.clone(), vec![0, 1, 2]),
        (to.clone(), vec![3, 4]),
        (format!("{from}&{to}"), vec![]),
        (format!("created_from={in_zone}"), vec![0, 1, 2]),
        (format!("{from}&user_id=a"), vec![0, 2]),
        (format!("{from}&status=cancelled&user_id=c"), vec![1]),
        ("created_from=2999-01-01T00:00:00Z".to_owned(), vec![]),
        (
            "created_to=2999-01-01T00:00:00Z".to_owned(),
            vec![0, 1, 2, 3, 4],
        ),
        ("created_to=2020-01-01T00:00:00Z".to_owned(), vec![]),
    ];
    for (query, positions) in cases {
        let expected: Vec<String> = positions
            .iter()
            .map(|&at: &usize| all[at].clone())
            .collect();
        for sized in [query.clone(), format!("{query}&page_size=1")] {
            let reply = app.api.order_list(&sized).await;

            assert_eq!(reply.status, 200, "{sized}: {}", reply.text());
            assert_eq!(pagination(&reply, "total"), expected.len(), "{sized}");
            let shown = if sized == query {
                expected.len()
            } else {
                expected.len().min(1)
            };
            assert_eq!(reply.ids(), expected[..shown], "{sized}");
        }
    }
}

#[tokio::test]
async fn a_filtered_list_is_walked_by_cursor_with_its_filter() {
    let app = TestApp::start().await;
    let all = app.orders_of(&["a", "b", "a", "b", "a", "a"]).await;
    let of_a: Vec<String> = [0, 1, 3, 5].map(|at: usize| all[at].clone()).to_vec();
    let mut reply = app
        .api
        .order_list("user_id=a&page_size=2")
        .await
        .success(200);
    let mut seen = reply.ids();

    while let Some(link) = reply.header("link") {
        let path = link.split(['<', '>']).nth(1).unwrap().to_owned();
        let path = path
            .find("/api/")
            .map(|start| path[start..].to_owned())
            .unwrap();
        reply = app.api.get(&path).await.success(200);
        seen.extend(reply.ids());
        assert_eq!(pagination(&reply, "total"), 4);
    }

    assert_eq!(seen, of_a);
}

#[tokio::test]
async fn a_list_takes_one_statement_however_long_it_is() {
    let app = TestApp::start().await;
    let mut counts = Vec::new();

    for _ in 0..2 {
        app.orders_of(&["u"; 10]).await;
        app.postgres.forget();
        app.api
            .order_list("page_size=100")
            .await
            .assert_success(200);
        counts.push(app.postgres.seen().len());
    }

    assert_eq!(counts, [1, 1], "{:#?}", app.postgres.seen());
}

#[tokio::test]
async fn head_of_a_list_says_the_same_without_a_body() {
    let app = TestApp::start().await;
    app.orders_of(&["u"; 3]).await;
    let path = "/api/orders?page_size=2";
    let get = app.api.get(path).await.success(200);

    let head = app.api.call(reqwest::Method::HEAD, path).send().await;
    let bad = app
        .api
        .call(reqwest::Method::HEAD, "/api/orders?page=0")
        .send()
        .await;

    assert_eq!((head.status, head.text().as_str()), (200, ""));
    for name in ["content-type", "link", "cache-control"] {
        assert!(get.header(name).is_some(), "{name}");
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!((bad.status, bad.text().as_str()), (400, ""));
}

#[tokio::test]
async fn without_postgres_a_list_is_a_503_and_without_redis_it_is_a_list() {
    let app = TestApp::start().await;
    app.an_order().await;

    app.redis.refuse().await;
    let without_redis = app.api.order_list("").await;
    app.postgres.refuse().await;
    let without_postgres = app.api.order_list("").await;

    assert_eq!(without_redis.success(200).ids().len(), 1);
    without_postgres.assert_error(503, "database_unavailable");
}

#[tokio::test]
async fn totals_stay_exact_while_many_clients_create_and_cancel() {
    let app = TestApp::start().await;
    let created = futures_util::future::join_all((0..40).map(async |number| {
        let body = order_but("/user_id", format!("user{}", number % 4));
        let order = app.api.order_create(&body).await.success(201).data();
        let id = order["id"].as_str().unwrap();
        if number % 2 == 0 {
            app.api.order_cancel(id).await.assert_success(200);
        }
        if number % 5 == 0 {
            app.api.order_list("page_size=1").await.assert_success(200);
        }
    }));

    created.await;

    let queries = [
        ("", 40),
        ("status=pending", 20),
        ("status=cancelled", 20),
        ("user_id=user0", 10),
        ("user_id=user0&status=cancelled", 10),
        ("user_id=user1&status=cancelled", 0),
    ];
    for (query, total) in queries {
        let reply = app.api.order_list(query).await.success(200);
        assert_eq!(pagination(&reply, "total"), total, "{query}");
    }
}
