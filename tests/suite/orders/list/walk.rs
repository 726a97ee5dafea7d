//! Walking a list by cursor while it changes.

use std::cell::Cell;
use std::collections::HashMap;

use order_service_tests::TestApp;
use order_service_tests::bodies::order_but;
use order_service_tests::client::encode;
use order_service_tests::seed::db_seed;

use super::pagination;

const ORDERS: u64 = 5_000;

/// Many orders, of which several hundred were created in the very same microsecond, more than
/// there are on a page.
async fn db_seed_crowded(app: &TestApp) {
    db_seed(&app.database, ORDERS).await;
    let sql = "
        update orders set created_at = timestamptz '2026-01-01 00:00:00Z'
            + abs(hashtext(id::text)) % 20 * interval '1 microsecond'";
    app.database.db_execute(sql).await;
}

/// The ids of the orders that fulfil a condition.
async fn db_ids(app: &TestApp, condition: &str) -> Vec<String> {
    let sql = format!("select id::text from orders where {condition}");
    let rows = app.database.db_query(&sql, &[]).await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// How often each order was seen on the way from the first page to the last.
async fn walk(app: &TestApp, filter: &str, page_size: u32) -> HashMap<String, u32> {
    let mut times_seen = HashMap::new();
    let first = format!("page_size={page_size}{filter}");
    let mut query = first.clone();
    loop {
        let reply = app.api.order_list(&query).await.success(200);
        for id in reply.ids() {
            *times_seen.entry(id).or_default() += 1;
        }
        match pagination(&reply, "next_cursor").as_str() {
            Some(cursor) => query = format!("{first}&cursor={}", encode(cursor)),
            None => return times_seen,
        }
    }
}

/// Creates orders and cancels these, one after the other, until it is dropped; tells how many.
async fn create_and_cancel(app: &TestApp, to_cancel: &[String], done: &Cell<usize>) {
    for (id, number) in to_cancel.iter().zip(0..) {
        let body = order_but("/user_id", format!("new{number}"));
        app.api.order_create(&body).await.assert_success(201);
        app.api.order_cancel(id).await.assert_success(200);
        done.set(done.get() + 1);
    }
    futures_util::future::pending().await
}

#[tokio::test]
async fn a_walk_sees_every_order_once_while_others_are_created_and_cancelled() {
    let app = TestApp::start().await;
    db_seed_crowded(&app).await;
    let at_start = db_ids(&app, "true").await;
    let pending = db_ids(&app, "status = 'pending' order by random()").await;
    let changed = Cell::new(0);

    let times_seen = tokio::select! {
        times_seen = walk(&app, "", 73) => times_seen,
        () = create_and_cancel(&app, &pending, &changed) => HashMap::new(),
    };

    assert!(changed.get() > 0, "nothing happened meanwhile");
    assert_eq!(at_start.len(), 5_000);
    for id in &at_start {
        assert_eq!(times_seen.get(id), Some(&1), "{id}");
    }
    assert!(times_seen.values().all(|&times| times == 1));
}

#[tokio::test]
async fn a_filtered_walk_sees_every_order_once_that_stays_in_the_list() {
    let app = TestApp::start().await;
    db_seed_crowded(&app).await;
    let mut pending = db_ids(&app, "status = 'pending' order by random()").await;
    let staying = pending.split_off(pending.len() / 2);
    let changed = Cell::new(0);

    let times_seen = tokio::select! {
        times_seen = walk(&app, "&status=pending", 20) => times_seen,
        () = create_and_cancel(&app, &pending, &changed) => HashMap::new(),
    };

    assert!(changed.get() > 0, "nothing happened meanwhile");
    for id in &staying {
        assert_eq!(times_seen.get(id), Some(&1), "{id}");
    }
    assert!(times_seen.values().all(|&times| times == 1));
}
