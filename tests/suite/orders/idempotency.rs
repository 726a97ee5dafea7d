//! `POST /api/orders` with an `Idempotency-Key`: repeating makes no second order.

use futures_util::future::join_all;
use order_service_tests::bodies::{order_but, order_of};
use order_service_tests::{Client, Reply, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

fn is_replay(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

#[tokio::test]
async fn a_repetition_is_answered_like_the_creation_and_asks_nobody() {
    let app = TestApp::start().await;
    app.products.set_price("p2", "0.99");
    let order = order_of(&["p1", "p2"]);
    let first = app
        .api
        .order_create_by_key("k-1", &order)
        .await
        .success(201);
    let asked = app.products.log().len();
    let id = first.data()["id"].as_str().unwrap().to_owned();
    let changed = app.api.order_set_status(&id, "confirmed").await;
    changed.assert_success(200);
    app.products.stop();

    let again = app
        .api
        .order_create_by_key("k-1", &order)
        .await
        .success(201);

    assert!(!is_replay(&first) && is_replay(&again));
    assert_eq!(
        again.json(),
        first.json(),
        "as it was created, not as it is"
    );
    for name in ["location", "etag", "cache-control", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(app.products.log().len(), asked);
    assert_eq!(app.db_order_count().await, 1);
    assert_eq!(app.db_events(&id).await.len(), 2, "nothing was written");
}

#[tokio::test]
async fn the_same_request_may_be_written_in_another_way() {
    let app = TestApp::start().await;
    let first = r#"{"user_id":"u","shipping_address":"s","order_items":[{"product_id":"p1","quantity":2}]}"#;
    let again = r#"{"order_items":[{"quantity":2.0,"product_id":"p1"}],"notes":null,"x":1,
                    "billing_address":"s","shipping_address":"s","user_id":"u"}"#;
    let post = |body: &'static str, key: &'static str| {
        app.api
            .call(Method::POST, "/api/orders")
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(body)
            .send()
    };

    let created = post(first, "a\"b").await;
    // A string of structured fields is the same key.
    let replayed = post(again, r#""a\"b""#).await;

    assert_eq!((created.status, replayed.status), (201, 201));
    assert!(is_replay(&replayed));
    assert_eq!(replayed.data(), created.data());
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let app = TestApp::start().await;
    let order = order_of(&["p1"]);
    let created = app.api.order_create_by_key("k", &order).await;
    created.assert_success(201);

    for (pointer, value) in [
        ("/shipping_address", json!("elsewhere")),
        ("/notes", json!("quickly")),
        ("/order_items/0/quantity", json!(2)),
        ("/order_items/0/product_id", json!("p2")),
        ("/expected_total", json!(10)),
    ] {
        let reply = app
            .api
            .order_create_by_key("k", &order_but(pointer, value))
            .await;
        reply.assert_error(422, "idempotency_key_reused");
    }

    assert_eq!(app.db_order_count().await, 1);
    let again = app.api.order_create_by_key("k", &order).await;
    assert!(is_replay(&again.success(201)));
}

#[tokio::test]
async fn keys_of_different_users_never_meet() {
    let app = TestApp::start().await;

    for user in ["anna", "bert"] {
        let order = order_but("/user_id", user);
        let created = app.api.order_create_by_key("k", &order).await.success(201);
        assert!(!is_replay(&created));
    }

    for user in ["anna", "bert"] {
        let query = format!("user_id={user}&idempotency_key=k");
        let found = app.api.order_list(&query).await.success(200);
        assert_eq!(found.json()["pagination"]["total"], 1);
        assert_eq!(found.data()[0]["user_id"], user);
    }
}

#[tokio::test]
async fn an_order_is_found_by_its_key_as_it_is_now() {
    let app = TestApp::start().await;
    let created = app
        .api
        .order_create_by_key("k&%=", &order_of(&["p1"]))
        .await;
    let id = created.success(201).data()["id"].clone();
    let id = id.as_str().unwrap();
    app.an_order_id().await;
    app.api.order_cancel(id).await.assert_success(200);

    let list = async |query: &str| app.api.order_list(query).await;
    let found = list("user_id=user123&idempotency_key=k%26%25%3D")
        .await
        .success(200);
    let none = list("user_id=user123&idempotency_key=k2")
        .await
        .success(200);
    let other = list("user_id=anna&idempotency_key=k%26%25%3D")
        .await
        .success(200);

    assert_eq!(found.ids(), [id]);
    assert_eq!(found.data()[0]["status"], "cancelled");
    assert_eq!(found.json()["pagination"]["total"], 1);
    assert_eq!(none.data(), json!([]));
    assert_eq!(none.json()["pagination"]["total"], 0);
    assert_eq!(other.data(), json!([]));
    let reply = list("idempotency_key=k").await;
    reply.assert_error(400, "invalid_parameter");
    assert_eq!(reply.problems(), ["/user_id required"]);
    let reply = list("user_id=a&idempotency_key=%20").await;
    assert_eq!(
        reply.problems(),
        ["/idempotency_key invalid_idempotency_key"]
    );
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let long = "k".repeat(256);

    for key in [
        "", " ", "a b", "\"a", "\"a\"b", "\"\\x\"", "\t", "clé", &long,
    ] {
        let reply = app.api.order_create_by_key(key, &order_of(&["p1"])).await;
        reply.assert_error(400, "invalid_idempotency_key");
    }
    let twice = app
        .api
        .call(Method::POST, "/api/orders")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b")
        .json(&order_of(&["p1"]));
    twice
        .send()
        .await
        .assert_error(400, "invalid_idempotency_key");

    app.db_assert_nothing_stored().await;
    let longest = "k".repeat(255);
    let reply = app
        .api
        .order_create_by_key(&longest, &order_of(&["p1"]))
        .await;
    reply.assert_success(201);
}

#[tokio::test]
async fn a_failed_attempt_leaves_no_trace_so_that_a_repetition_may_succeed() {
    let app = TestApp::start().await;
    let invalid = order_but("/user_id", " ");
    let unknown = order_of(&["none"]);

    let reply = app.api.order_create_by_key("k", &invalid).await;
    reply.assert_error(400, "validation_failed");
    let reply = app.api.order_create_by_key("k", &unknown).await;
    reply.assert_error(422, "unknown_product");
    let keys = "select count(*) from idempotency_keys";
    assert_eq!(app.database.db_count(keys).await, 0);
    app.db_assert_nothing_stored().await;

    let created = app.api.order_create_by_key("k", &order_of(&["p1"])).await;
    assert!(!is_replay(&created.success(201)));
}

#[tokio::test]
async fn of_100_at_the_same_time_one_creates_and_all_are_answered_alike() {
    let app = TestApp::start().await;
    let other = app.another_host().await;
    let (first, second) = (app.api.clone(), Client::new(other.url()));
    let order = order_of(&["p1"]);

    for round in 0..3 {
        let key = format!("race-{round}");
        let replies = (0..100).map(|number| {
            let api = if number % 2 == 0 { &first } else { &second };
            api.order_create_by_key(&key, &order)
        });
        let replies = join_all(replies).await;

        let answers: Vec<Value> = replies
            .into_iter()
            .map(|reply| reply.success(201).json())
            .collect();
        assert!(answers.iter().all(|answer| answer == &answers[0]));
        assert_eq!(app.db_order_count().await, round + 1);
    }
}

#[tokio::test]
async fn an_order_that_costs_something_else_than_expected_is_not_stored() {
    let app = TestApp::start().await;
    app.products.set_price("p1", "29.99");
    let expecting = |total: Value| {
        let mut order = order_but("/order_items/0/quantity", 2);
        order["expected_total"] = total;
        order
    };

    for total in [json!(59.97), json!("59.99"), json!(0)] {
        let reply = app.api.order_create(&expecting(total)).await;
        reply.assert_error(409, "price_changed");
        let prices = json!({
            "total_amount": 59.98,
            "currency": "USD",
            "order_items": [{"product_id": "p1", "quantity": 2, "unit_price": 29.99,
                             "subtotal": 59.98, "price_as_of": null}],
        });
        assert_eq!(reply.json()["data"], prices);
    }
    app.db_assert_nothing_stored().await;
    let reply = app.api.order_create(&expecting(json!(-1))).await;
    assert_eq!(reply.problems(), ["/expected_total invalid_amount"]);

    for total in [json!(59.98), json!("59.98"), Value::Null] {
        app.api
            .order_create(&expecting(total))
            .await
            .assert_success(201);
    }
}
