//! `POST /api/orders`, when all goes well.

use std::time::Duration;

use order_service_tests::TestApp;
use order_service_tests::bodies::{line, order_but, order_of, order_with_lines};
use sample_products::Reply;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn an_order_is_created_and_returned_whole() {
    let app = TestApp::start().await;
    app.products.set_price("p2", "0.50");

    let reply = app
        .api
        .order_create(&json!({
            "user_id": "user123",
            "shipping_address": "123 Main St",
            "billing_address": "PO Box 1",
            "notes": "Please ring doorbell",
            "order_items": [line("p2", 3), line("p1", 2)],
        }))
        .await
        .success(201);

    let order = reply.data();
    let id = order["id"].as_str().unwrap();
    assert_eq!(Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert_eq!(id, id.to_lowercase());
    assert_eq!(
        reply.header("location"),
        Some(format!("/api/orders/{id}").as_str())
    );
    assert_eq!(reply.header("etag"), Some(r#""1""#));
    assert!(
        reply
            .header("cache-control")
            .is_some_and(|it| it.contains("private"))
    );
    let fields = json!({
        "user_id": "user123",
        "status": "pending",
        "currency": "USD",
        "shipping_address": "123 Main St",
        "billing_address": "PO Box 1",
        "notes": "Please ring doorbell",
        "version": 1,
    });
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&order[name], value, "{name}");
    }
    assert_eq!(reply.raw("/data/total_amount"), "21.50");
    assert_times(&order);
    for (position, (product_id, quantity, unit_price, subtotal)) in
        [("p2", 3, "0.50", "1.50"), ("p1", 2, "10.00", "20.00")]
            .into_iter()
            .enumerate()
    {
        let item = &order["order_items"][position];
        assert_eq!(item["product_id"], product_id);
        assert_eq!(item["quantity"], quantity);
        assert_eq!(item["order_id"], id);
        assert!(Uuid::parse_str(item["id"].as_str().unwrap()).is_ok());
        assert_times(item);
        let raw = |name: &str| reply.raw(&format!("/data/order_items/{position}/{name}"));
        assert_eq!(
            (raw("unit_price"), raw("subtotal")),
            (unit_price.into(), subtotal.into())
        );
    }
    assert_eq!(order["order_items"].as_array().unwrap().len(), 2);
}

/// RFC 3339 in UTC, and untouched since the creation.
#[track_caller]
fn assert_times(document: &Value) {
    let created_at = document["created_at"].as_str().unwrap();
    let shape: String = created_at
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert!(shape.starts_with("0000-00-00T00:00:00"), "{created_at}");
    assert!(
        shape[19..].trim_start_matches(['.', '0']) == "Z",
        "{created_at}"
    );
    assert_eq!(document["updated_at"], created_at);
}

#[tokio::test]
async fn what_is_returned_is_what_is_stored() {
    let app = TestApp::start().await;

    let order = app.an_order().await;

    let sql = "select o.id::text, o.user_id, o.status, o.total_amount::text, o.version, \
                      i.product_id, i.quantity, i.unit_price::text, i.subtotal::text, \
                      o.billing_address, o.notes \
               from orders o join order_items i on i.order_id = o.id";
    let rows = app.database.db_query(sql, &[]).await;
    assert_eq!(rows.len(), 1);
    let text = |column: usize| rows[0].get::<_, String>(column);
    assert_eq!(text(0), order["id"]);
    assert_eq!((text(1), text(2)), ("user123".into(), "pending".into()));
    assert_eq!((text(3), rows[0].get::<_, i32>(4)), ("10.00".into(), 1));
    assert_eq!((text(5), rows[0].get::<_, i32>(6)), ("p1".into(), 1));
    assert_eq!((text(7), text(8)), ("10.00".into(), "10.00".into()));
    assert_eq!(
        (text(9), rows[0].get::<_, Option<String>>(10)),
        (text_of(&order), None)
    );
}

fn text_of(order: &Value) -> String {
    order["shipping_address"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn three_products_are_asked_for_at_the_same_time_and_stored_by_one_statement() {
    let app = TestApp::start().await;
    app.an_order().await;
    for id in ["a", "b", "c"] {
        app.products
            .set(id, Reply::priced("1.00").after(Duration::from_millis(200)));
    }
    app.postgres.forget();

    let lines = vec![line("a", 1), line("b", 2), line("c", 3), line("a", 4)];
    app.api
        .order_create(&order_with_lines(lines))
        .await
        .assert_success(201);

    let log = app.products.log();
    let calls: Vec<_> = ["a", "b", "c"].map(|id| log.requests_for(id)).concat();
    assert_eq!(
        (calls.len(), log.len()),
        (3, 4),
        "one call for each product, one for p1"
    );
    for call in &calls {
        assert!(
            calls.iter().all(|other| call.overlaps(other)),
            "all three at the same time"
        );
    }
    let statements = app.postgres.seen();
    assert_eq!(statements.len(), 1, "{statements:#?}");
}

#[tokio::test]
async fn the_billing_address_is_the_shipping_address_unless_it_is_given() {
    let app = TestApp::start().await;

    for body in [
        order_of(&["p1"]),
        order_but("/billing_address", Value::Null),
    ] {
        let order = app.api.order_create(&body).await.success(201).data();

        assert_eq!(order["billing_address"], order["shipping_address"]);
        assert_eq!(order["notes"], Value::Null);
    }
}

#[tokio::test]
async fn bodies_at_their_bounds_are_accepted() {
    let app = TestApp::start().await;
    let long = |length: usize| "ü".repeat(length);
    app.products.set_price(&long(255), "0.01");
    let padded = |bytes: usize| {
        let mut body = order_of(&["p1"]);
        let room = bytes - body.to_string().len() - r#","padding":"""#.len();
        body["padding"] = "x".repeat(room).into();
        assert_eq!(body.to_string().len(), bytes);
        body
    };
    let cases = [
        ("user_id of 255", order_but("/user_id", long(255))),
        ("user_id of 1", order_but("/user_id", "u")),
        (
            "shipping_address of 1000",
            order_but("/shipping_address", long(1000)),
        ),
        (
            "billing_address of 1000",
            order_but("/billing_address", long(1000)),
        ),
        ("notes of 2000", order_but("/notes", long(2000))),
        ("empty notes", order_but("/notes", "")),
        ("null notes", order_but("/notes", Value::Null)),
        (
            "several lines of text",
            order_but("/shipping_address", "1 Main St\r\n\tNew York\nNY"),
        ),
        (
            "several lines of notes",
            order_but("/notes", "ring\nthe bell\t!\r\n"),
        ),
        (
            "product_id of 255",
            order_with_lines(vec![line(&long(255), 1)]),
        ),
        (
            "quantity of 10000",
            order_with_lines(vec![line("p1", 10_000)]),
        ),
        ("100 lines", order_with_lines(vec![line("p1", 1); 100])),
        (
            "unknown fields",
            order_but("/coupon", json!({"deep": [1, {"er": null}]})),
        ),
        (
            "unknown fields of a line",
            order_but("/order_items/0/colour", "red"),
        ),
        (
            "a price of the client's",
            order_but("/order_items/0/unit_price", 0.01),
        ),
        ("64 KiB", padded(64 * 1024)),
    ];

    for (name, body) in cases {
        let reply = app.api.order_create(&body).await;

        assert_eq!(reply.status, 201, "{name}: {}", reply.text());
        let order = reply.data();
        for field in ["user_id", "shipping_address"] {
            assert_eq!(order[field], body[field], "{name}: {field}");
        }
        for field in ["billing_address", "notes"] {
            if body[field].is_string() {
                assert_eq!(order[field], body[field], "{name}: {field}");
            }
        }
    }
}

#[tokio::test]
async fn text_is_stored_as_it_was_sent() {
    let app = TestApp::start().await;
    let texts = [
        "Cafe\u{301} and café are not the same bytes",
        "\u{1f3e0} 17, مرحبا, 北京, \u{202e}backwards",
        r#"quotes " ' ` and \ and {{ braces }} and $1 %s --;"#,
        "  kept  spaces  ",
        "<script>alert(1)</script>",
    ];

    for text in texts {
        let order = app
            .api
            .order_create(&order_but("/notes", text))
            .await
            .success(201)
            .data();
        let read = app
            .api
            .order_get(order["id"].as_str().unwrap())
            .await
            .success(200)
            .data();

        assert_eq!(order["notes"], text);
        assert_eq!(read["notes"], text);
    }
}

#[tokio::test]
async fn whole_numbers_count_however_they_are_written() {
    let app = TestApp::start().await;

    for (quantity, total) in [("2", "20.00"), ("2.0", "20.00"), ("1e2", "1000.00")] {
        let body = order_of(&["p1"])
            .to_string()
            .replace(r#""quantity":1"#, &format!(r#""quantity":{quantity}"#));
        let reply = app.api.call(reqwest::Method::POST, "/api/orders");
        let reply = reply
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await;

        assert_eq!(reply.status, 201, "{quantity}: {}", reply.text());
        assert_eq!(reply.raw("/data/total_amount"), total);
    }
}

#[tokio::test]
async fn every_way_to_say_json_is_understood() {
    let app = TestApp::start().await;
    let types = [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        r#"application/json; charset="utf-8""#,
        "Application/JSON",
        "application/vnd.orders+json",
        "application/problem+json; charset=utf-8",
    ];

    for content_type in types {
        let call = app.api.call(reqwest::Method::POST, "/api/orders");
        let body = order_of(&["p1"]).to_string();
        let reply = call
            .header("content-type", content_type)
            .body(body)
            .send()
            .await;

        assert_eq!(reply.status, 201, "{content_type}: {}", reply.text());
    }
}

#[tokio::test]
async fn many_clients_create_at_once_and_each_gets_its_own_order() {
    let app = TestApp::start().await;

    let creations = (0..60).map(|number| {
        let body = order_but("/user_id", format!("user{number}"));
        let api = app.api.clone();
        async move { (number, api.order_create(&body).await) }
    });
    let replies = futures_util::future::join_all(creations).await;

    let mut ids = std::collections::HashSet::new();
    for (number, reply) in replies {
        let order = reply.success(201).data();
        assert_eq!(order["user_id"], format!("user{number}"));
        ids.insert(order["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 60);
    assert_eq!(app.db_order_count().await, 60);
}
