//! The archive is filled while others read and write.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join;
use order_service_tests::TestApp;
use order_service_tests::bodies::order_but;
use order_service_tests::client::encode;
use order_service_tests::database::Database;
use order_service_tests::feed::Follower;
use order_service_tests::seed::db_seed;

use super::{ARCHIVED, old_orders};

const ORDERS: u64 = 3_000;

/// Archives everything in small steps, with a pause after each, so that others come between.
async fn archive_slowly(app: &TestApp) {
    let connection = Database::connect_to(&app.database.name).await;
    for days in (1..=366).rev().step_by(5) {
        let sql = format!("call orders_archive((now() at time zone 'utc')::date - {days} + 2, 7)");
        connection.batch_execute(&sql).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn db_ids(app: &TestApp, condition: &str) -> Vec<String> {
    let sql = format!("select id::text from orders where {condition}");
    let rows = app.database.db_query(&sql, &[]).await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Walks by cursor from the first page to the last, and checks the total of each page. How often
/// each order was seen.
async fn walk(app: &TestApp, filter: &str, total: Option<usize>) -> HashMap<String, u32> {
    let mut times_seen = HashMap::new();
    let first = format!("page_size=31{filter}");
    let mut query = first.clone();
    loop {
        let reply = app.api.order_list(&query).await.success(200);
        for id in reply.ids() {
            *times_seen.entry(id).or_default() += 1;
        }
        let page = reply.json();
        if let Some(total) = total {
            assert_eq!(page["pagination"]["total"], total, "{query}");
        }
        match page["pagination"]["next_cursor"].as_str() {
            Some(cursor) => query = format!("{first}&cursor={}", encode(cursor)),
            None => return times_seen,
        }
    }
}

/// Reads by number of page, near the front and deep inside: the list is at rest but for the move,
/// so each page is always the same.
async fn pages_stay(app: &TestApp, page: u32) {
    let query = format!("status=delivered&page_size=20&page={page}");
    let first = app.api.order_list(&query).await.success(200).json();
    for _ in 0..20 {
        let again = app.api.order_list(&query).await.success(200).json();
        assert_eq!(again, first, "{query}");
    }
}

#[tokio::test]
async fn walks_pages_and_totals_are_exact_while_orders_move_and_are_created() {
    let app = TestApp::start().await;
    db_seed(&app.database, ORDERS).await;
    let at_start = db_ids(&app, "true").await;
    let delivered = db_ids(&app, "status = 'delivered'").await;
    let pending = db_ids(&app, "status = 'pending'").await;
    let mut archived_by_then = Vec::new();

    let create_and_cancel = async {
        for (number, id) in pending.iter().enumerate().take(60) {
            let body = order_but("/user_id", format!("new{number}"));
            app.api.order_create(&body).await.assert_success(201);
            app.api.order_cancel(id).await.assert_success(200);
        }
    };
    let read = async {
        for _ in 0..3 {
            let all = walk(&app, "", None).await;
            for id in &at_start {
                assert_eq!(all.get(id), Some(&1), "{id}");
            }
            let some = walk(&app, "&status=delivered", Some(delivered.len())).await;
            assert_eq!(some.len(), delivered.len());
            assert!(some.values().all(|&times| times == 1));
            archived_by_then.push(app.database.db_count(ARCHIVED).await);
        }
    };
    let pages = async {
        pages_stay(&app, 3).await;
        pages_stay(&app, 60).await;
    };
    join(
        archive_slowly(&app),
        join(create_and_cancel, join(read, pages)),
    )
    .await;

    assert!(
        archived_by_then[0] > 0,
        "nothing moved meanwhile: {archived_by_then:?}"
    );
    assert_eq!(
        app.db_order_count().await,
        i64::try_from(ORDERS).unwrap() + 60
    );
    super::super::counters::db_assert_exact(&app.database).await;
}

#[tokio::test]
async fn the_feed_and_the_keys_are_exact_while_orders_move() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    db_seed(&app.database, 1_000).await;
    let events = app
        .database
        .db_count("select count(*) from order_events")
        .await;
    let events = usize::try_from(events).unwrap();
    // A transaction of any database of the server, such as another test's, keeps events back.
    Follower::default().read_until(&app.api, events).await;

    let replay = async {
        for round in 0..10 {
            for (number, id) in ids.iter().enumerate() {
                let body = order_but("/user_id", format!("user{}", number % 2));
                let key = format!("key{number}");
                let again = app.api.order_create_by_key(&key, &body).await;
                assert_eq!(again.data()["id"], **id, "round {round}");
            }
        }
    };
    let follow = async {
        for limit in [50, 77, 500] {
            let mut follower = Follower::default();
            while follower.read(&app.api, &format!("limit={limit}")).await > 0 {}
            assert_eq!(follower.events.len(), events);
            follower.assert_exact();
        }
    };
    join(archive_slowly(&app), join(replay, follow)).await;
}

#[tokio::test]
async fn a_change_that_waits_for_an_order_on_its_way_is_refused_as_of_a_final_one() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    app.database.db_execute("call order_archive_create()").await;
    let connection = Database::connect_to(&app.database.name).await;
    let sql = format!(
        "begin; select from orders where id = '{0}' for update;
         call orders_move_to_archive(array['{0}'::uuid])",
        ids[6]
    );
    connection.batch_execute(&sql).await.unwrap();

    let change = app.api.order_set_status(&ids[6], "confirmed");
    let commit = async {
        app.database.db_until_waiting(1).await;
        connection.batch_execute("commit").await.unwrap();
    };
    let (reply, ()) = join(change, commit).await;

    reply.assert_error(409, "invalid_status_transition");
    assert_eq!(app.database.db_count(ARCHIVED).await, 1);
}

#[tokio::test]
async fn a_run_that_is_ended_goes_on_later_and_waits_for_nobody() {
    let app = TestApp::start().await;
    let ids = old_orders(&app).await;
    // In its second step it fails, as if it had been ended there.
    let failing = "
        create function fail() returns trigger language plpgsql as $$
        begin raise exception 'ended'; end $$;
        create trigger fail before delete on orders for each row
            when (old.status = 'cancelled' and current_setting('test.fails') = 'yes')
            execute function fail();
        set test.fails = 'yes'";
    app.database.db_execute(failing).await;
    let busy = Database::connect_to(&app.database.name).await;
    let sql = format!(
        "begin; update orders set notes = 'busy' where id = '{}'",
        ids[7]
    );
    busy.batch_execute(&sql).await.unwrap();

    let run = "call orders_archive('2999-01-01', 1)";
    let ended = app.database.client().batch_execute(run).await;
    assert!(ended.is_err());
    assert_eq!(
        app.database.db_count(ARCHIVED).await,
        1,
        "what was done before stays done"
    );
    super::super::counters::db_assert_exact(&app.database).await;

    app.database.db_execute("set test.fails = 'no'").await;
    app.database.db_execute(run).await;
    assert_eq!(app.database.db_count(ARCHIVED).await, 3);
    busy.batch_execute("commit").await.unwrap();
    app.database.db_execute(run).await;
    assert_eq!(app.database.db_count(ARCHIVED).await, 4);
    let archived = app.database.db_count(
        "select count(*) from archived_orders where notes = 'busy' and body like '%\"busy\"%'",
    );
    assert_eq!(archived.await, 1);
    super::super::counters::db_assert_exact(&app.database).await;
}

#[tokio::test]
async fn lines_older_than_bodies_take_no_body_away_when_they_are_moved() {
    let app = TestApp::start().await;
    old_orders(&app).await;
    let before = "update order_items set in_body = false";
    app.database.db_execute(before).await;

    super::db_archive(&app.database).await;

    assert!(app.database.db_count(ARCHIVED).await > 0);
    let without = "select count(*) from archived_orders where body is null";
    assert_eq!(app.database.db_count(without).await, 0);
}
