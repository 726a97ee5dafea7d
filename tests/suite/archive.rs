//! Old orders lie in the archive, and nobody can tell.

mod beside;
mod scale;

use order_service::domain::status::Status;
use order_service_tests::bodies::order_but;
use order_service_tests::database::Database;
use order_service_tests::feed::Follower;
use order_service_tests::{TestApp, migrations, wait};
use serde_json::Value;

/// The ways to each status.
const WAYS: [&[&str]; 5] = [
    &[],
    &["confirmed"],
    &["confirmed", "shipped"],
    &["confirmed", "shipped", "delivered"],
    &["confirmed", "cancelled"],
];

/// Orders of two users in every status, with keys, created three years ago; their ids.
async fn old_orders(app: &TestApp) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..2 * WAYS.len() {
        let body = order_but("/user_id", format!("user{}", number % 2));
        let reply = app
            .api
            .order_create_by_key(&format!("key{number}"), &body)
            .await
            .success(201);
        let id = reply.data()["id"].as_str().unwrap().to_owned();
        for status in WAYS[number / 2] {
            app.api
                .order_set_status(&id, status)
                .await
                .assert_success(200);
        }
        ids.push(id);
    }
    db_age(app).await;
    ids
}

/// Makes all orders three years older. Their bodies have their moment in them and are made anew,
/// but for one, which the archive has to make.
async fn db_age(app: &TestApp) {
    let sql = "
        update orders set created_at = created_at - interval '3 years';
        update orders set body = order_body_of(id) where id <> (select max(id::text)::uuid from orders
                                                                where status = 'delivered')";
    app.database.db_execute(sql).await;
}

/// Takes into the archive what is final, all of it by default.
async fn db_archive(database: &Database) {
    database
        .db_execute("call orders_archive('2999-01-01', 3)")
        .await;
}

const ARCHIVED: &str = "select count(*) from archived_orders";

/// What the service answers about all orders, by path; nothing of it from the cache.
async fn answers(app: &TestApp, ids: &[String]) -> Vec<(String, Value)> {
    // Transactions of other tests hold it back.
    let held_back = "select count(*) from order_events where position >= order_feed_end()";
    wait::until("the feed shows all", async || {
        app.database.db_count(held_back).await == 0
    })
    .await;
    let mut paths = Vec::new();
    for id in ids {
        let key = app.redis_key(&format!("order:{id}"));
        let _: i64 = app.redis_command(redis::cmd("del").arg(&key)).await;
        paths.push(format!("/api/orders/{id}"));
        paths.push(format!("/api/orders/{id}/history"));
    }
    for filter in [
        "",
        "&status=delivered",
        "&status=pending",
        "&user_id=user1",
        "&user_id=user1&status=cancelled",
        "&user_id=user1&idempotency_key=key7",
        "&created_to=2999-01-01T00:00:00Z",
        "&created_from=1999-01-01T00:00:00Z&created_to=2999-01-01T00:00:00Z&status=cancelled",
    ] {
        for page in 1..=3 {
            paths.push(format!("/api/orders?page_size=3&page={page}{filter}"));
        }
    }
    // So deep that a page is looked for in the index first.
    paths.push("/api/orders?page_size=100&page=11".to_owned());
    paths.push("/api/events?limit=5".to_owned());
    paths.push("/api/events?limit=500".to_owned());
    let mut answers = Vec::new();
    for path in paths {
        let reply = app.api.get(&path).await.success(200);
        answers.push((path, reply.json()));
    }
    answers
}

#[tokio::test]
async fn an_archived_order_is_answered_for_as_before() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    let before = answers(&app, &ids).await;

    db_archive(&app.database).await;
    let after = answers(&app, &ids).await;

    assert_eq!(app.database.db_count(ARCHIVED).await, 4);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    for (rows, count) in [
        ("archived_orders where body is not null", 4),
        ("archived_order_items", 4),
        ("archived_order_events", 14),
        ("archived_idempotency_keys", 4),
        ("only order_events", 12),
    ] {
        let sql = format!("select count(*) from {rows}");
        assert_eq!(app.database.db_count(&sql).await, count, "{rows}");
    }
    super::counters::db_assert_exact(&app.database).await;
}

#[tokio::test]
async fn what_may_still_change_or_is_younger_than_a_day_stays() {
    let app = TestApp::start().await;
    old_orders(&app).await;
    let young = app.an_order_id().await;
    app.api.order_cancel(&young).await.assert_success(200);

    db_archive(&app.database).await;

    let rows = app
        .database
        .db_query(
            "select distinct status from archived_orders order by 1",
            &[],
        )
        .await;
    let archived: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut is_final: Vec<_> = Status::ALL
        .into_iter()
        .filter(|status| status.next().is_empty())
        .map(|status| status.to_string())
        .collect();
    is_final.sort();
    assert_eq!(archived, is_final);
    let sql = format!("select count(*) from only orders where id = '{young}'");
    assert_eq!(app.database.db_count(&sql).await, 1);
    let left = "select count(*) from only orders where status in ('delivered', 'cancelled')";
    assert_eq!(app.database.db_count(left).await, 1);
}

#[tokio::test]
async fn only_what_was_created_before_the_day_is_archived() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    let no_day = "call orders_archive(null)";
    let refused = app.database.client().batch_execute(no_day).await;
    assert!(refused.is_err());
    // The last microsecond of a day, and the first of the next, of two final orders.
    let sql = format!(
        "update orders set created_at = '2020-03-01 00:00:00Z' where id = '{}';
         update orders set created_at = '2020-02-29 23:59:59.999999Z' where id = '{}'",
        ids[6], ids[8]
    );
    app.database.db_execute(&sql).await;

    app.database
        .db_execute("call orders_archive('2020-03-01')")
        .await;

    let rows = app
        .database
        .db_query("select id::text from archived_orders", &[])
        .await;
    let archived: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(archived, [ids[8].clone()]);
}

#[tokio::test]
async fn an_archived_order_answers_a_change_as_one_that_is_final() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    db_archive(&app.database).await;
    let (delivered, cancelled) = (&ids[6], &ids[8]);

    for status in ["confirmed", "cancelled", "pending"] {
        let reply = app.api.order_set_status(delivered, status).await;
        reply.assert_error(409, "invalid_status_transition");
    }
    app.api
        .order_cancel(delivered)
        .await
        .assert_error(409, "order_not_cancellable");
    let again = app.api.order_cancel(cancelled).await.success(200).data();

    assert_eq!(
        (&again["status"], &again["version"]),
        (&"cancelled".into(), &3.into())
    );
    let stale = app
        .api
        .call(
            reqwest::Method::PATCH,
            &format!("/api/orders/{delivered}/status"),
        )
        .header("if-match", "\"1\"")
        .json(&serde_json::json!({"status": "confirmed"}))
        .send()
        .await;
    stale.assert_error(412, "version_mismatch");
    let history = app.api.order_history(cancelled).await.success(200).data();
    assert_eq!(history.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_key_is_remembered_as_long_as_its_order_is_in_the_archive() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    db_archive(&app.database).await;

    let body = order_but("/user_id", "user0");
    let again = app.api.order_create_by_key("key6", &body).await;
    let mut another = body.clone();
    another["notes"] = "another".into();
    let reused = app.api.order_create_by_key("key6", &another).await;

    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.data()["id"], ids[6]);
    assert_eq!(again.data()["status"], "pending");
    assert_eq!(reused.code(), "idempotency_key_reused");
    assert_eq!(app.db_order_count().await, 10);
    app.database
        .db_execute(&format!("delete from orders where id = '{}'", ids[6]))
        .await;
    app.api
        .order_create_by_key("key6", &body)
        .await
        .assert_success(201);
}

#[tokio::test]
async fn the_feed_goes_on_from_any_cursor_and_is_trimmed_in_the_archive_too() {
    let app = TestApp::start().await;
    old_orders(&app).await;
    let (mut before, mut middle) = (Follower::default(), Follower::default());
    before.read_until(&app.api, 26).await;
    middle.read(&app.api, "limit=9").await;

    db_archive(&app.database).await;
    let mut after = Follower::default();
    after.read_until(&app.api, 26).await;
    while middle.read(&app.api, "limit=4").await > 0 {}

    assert_eq!(after.events, before.events);
    assert_eq!(middle.events, before.events);
    assert_eq!(middle.cursor, after.cursor);
    assert_eq!(before.read(&app.api, "").await, 0, "a move is no change");
    app.database
        .db_execute("call order_feed_trim('0 seconds')")
        .await;
    let mut trimmed = Follower::default();
    // It begins behind what is gone, and has missed nothing.
    assert_eq!(trimmed.read(&app.api, "").await, 0);
    assert_eq!(trimmed.read(&app.api, "").await, 0);
    assert_eq!(trimmed.cursor, after.cursor);
    let left = "select count(*) from order_events where position is not null";
    assert_eq!(app.database.db_count(left).await, 0);
}

#[tokio::test]
async fn what_is_changed_by_sql_in_the_archive_is_shown_and_counted() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    db_archive(&app.database).await;
    let id = &ids[6];

    for (change, pointer, expected) in [
        (
            "update orders set notes = 'by orders' where id = '{id}'",
            "/notes",
            "by orders",
        ),
        (
            "update archived_orders set notes = 'by name' where id = '{id}'",
            "/notes",
            "by name",
        ),
        (
            "update order_items set product_id = 'p9' where order_id = '{id}'",
            "/order_items/0/product_id",
            "p9",
        ),
        (
            "update archived_order_items set product_id = 'p8' where order_id = '{id}'",
            "/order_items/0/product_id",
            "p8",
        ),
    ] {
        app.database.db_execute(&change.replace("{id}", id)).await;
        // A list is never from the cache.
        let list = app
            .api
            .order_list("user_id=user0&idempotency_key=key6")
            .await;
        let order = list.success(200).data()[0].clone();
        assert_eq!(order.pointer(pointer), Some(&expected.into()), "{change}");
    }

    for (change, left) in [
        (
            "update orders set status = 'cancelled' where status = 'delivered'",
            10,
        ),
        ("update archived_orders set user_id = 'user7'", 10),
        ("update orders set user_id = 'user8'", 10),
        ("delete from archived_orders where version = 4", 8),
        (
            "truncate only order_items, only order_events, only idempotency_keys, only orders",
            2,
        ),
        ("delete from orders", 0),
    ] {
        app.database.db_execute(change).await;
        super::counters::db_assert_exact(&app.database).await;
        assert_eq!(app.db_order_count().await, left, "{change}");
    }
}

#[tokio::test]
async fn erasing_a_user_reaches_the_archive() {
    let app = TestApp::start().await;
    old_orders(&app).await;
    db_archive(&app.database).await;
    let mut follower = Follower::default();
    follower.read_until(&app.api, 26).await;

    app.database
        .db_execute("call order_erase('user0', 2)")
        .await;
    follower.read_until(&app.api, 31).await;

    follower.assert_exact();
    let erased = &follower.events[26..];
    assert!(
        erased.iter().all(|event| event["type"] == "order.erased"),
        "{erased:?}"
    );
    for rows in [
        "orders where user_id = 'user0' or body like '%user0%'",
        "idempotency_keys where user_id = 'user0'",
        "order_events where reason is not null",
    ] {
        let sql = format!("select count(*) from {rows}");
        assert_eq!(app.database.db_count(&sql).await, 0, "{rows}");
    }
    let archived = "select count(*) from archived_orders where user_id like 'erased:%'";
    assert_eq!(app.database.db_count(archived).await, 2);
    let events = "select count(*) from archived_order_events where erases";
    assert_eq!(app.database.db_count(events).await, 2);
    super::counters::db_assert_exact(&app.database).await;
}

#[tokio::test]
async fn a_release_without_the_archive_has_everything_back() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    let before = answers(&app, &ids).await;
    db_archive(&app.database).await;
    let all = migrations::all();
    let place = all
        .iter()
        .position(|migration| migration.name.ends_with("order_archive"));
    let newer = &all[place.expect("the migration")..];

    for migration in newer.iter().rev() {
        migration.revert(app.database.client()).await.unwrap();
    }
    super::counters::db_assert_exact(&app.database).await;
    for migration in newer {
        migration.apply(app.database.client()).await.unwrap();
    }

    let tables = "select count(*) from pg_class where relname like 'archived_%'";
    assert_eq!(app.database.db_count(tables).await, 0);
    for (before, after) in before.iter().zip(&answers(&app, &ids).await) {
        assert_eq!(before, after);
    }
}
