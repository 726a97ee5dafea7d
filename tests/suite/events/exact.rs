//! Every committed change appears exactly once, whatever overlaps.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, join_all};
use order_service_tests::TestApp;
use order_service_tests::database::Database;
use order_service_tests::feed::Follower;
use tokio_postgres::Client;

/// Opens a transaction that has its number already, and changes nothing that others need.
async fn open_transaction(app: &TestApp) -> Client {
    let client = Database::connect_to(&app.database.name).await;
    client
        .batch_execute("begin; select pg_current_xact_id()")
        .await
        .unwrap();
    client
}

const CHANGE: &str = "
    with changed as (
        update orders set status = 'cancelled', version = version + 1, updated_at = clock_timestamp()
        where id = '{id}' returning id, version, updated_at
    )
    insert into order_events (order_id, sequence, from_status, to_status, created_at)
    select id, version, 'confirmed', 'cancelled', updated_at from changed";

#[tokio::test]
async fn what_a_long_transaction_commits_last_is_neither_skipped_nor_repeated() {
    let app = TestApp::start().await;
    let (first, second) = (app.an_order_id().await, app.an_order_id().await);
    for id in [&first, &second] {
        app.api
            .order_set_status(id, "confirmed")
            .await
            .assert_success(200);
    }
    let mut follower = Follower::default();
    follower.read_until(&app.api, 4).await;

    // The older transaction changes its order after younger ones have committed theirs.
    let open = open_transaction(&app).await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(app.an_order_id().await);
        follower.read(&app.api, "").await;
    }
    assert_eq!(
        follower.events.len(),
        4,
        "what could still be preceded is held back"
    );
    open.batch_execute(&CHANGE.replace("{id}", &first))
        .await
        .unwrap();
    follower.read(&app.api, "").await;
    assert_eq!(follower.events.len(), 4);
    open.batch_execute("commit").await.unwrap();
    follower.read_until(&app.api, 15).await;

    follower.assert_exact();
    assert_eq!(follower.changes()[4], (first, 3), "the older one first");
    assert!(!follower.changes()[5..].iter().any(|(id, _)| *id == second));
}

#[tokio::test]
async fn the_changes_of_one_order_stay_in_order_when_an_older_transaction_makes_the_last() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    let open = open_transaction(&app).await;
    app.api
        .order_set_status(&id, "confirmed")
        .await
        .assert_success(200);
    open.batch_execute(&CHANGE.replace("{id}", &id))
        .await
        .unwrap();
    open.batch_execute("commit").await.unwrap();

    let mut follower = Follower::default();
    follower.read_until(&app.api, 3).await;
    follower.assert_exact();
}

#[tokio::test]
async fn a_transaction_that_is_taken_back_leaves_no_gap_in_what_is_read() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.api
        .order_set_status(&id, "confirmed")
        .await
        .assert_success(200);

    let open = open_transaction(&app).await;
    open.batch_execute(&CHANGE.replace("{id}", &id))
        .await
        .unwrap();
    open.batch_execute("rollback").await.unwrap();
    app.api
        .order_set_status(&id, "shipped")
        .await
        .assert_success(200);

    let mut follower = Follower::default();
    follower.read_until(&app.api, 3).await;
    follower.assert_exact();
    assert_eq!(follower.events[2]["to"], "shipped");
}

#[tokio::test]
async fn readers_beside_writers_see_everything_once() {
    const WRITERS: usize = 8;
    const ORDERS: usize = 12;
    let app = TestApp::start().await;
    let is_over = AtomicBool::new(false);
    let total = WRITERS * ORDERS * 3;

    let write = async {
        let writers = (0..WRITERS).map(|_| async {
            for _ in 0..ORDERS {
                let id = app.an_order_id().await;
                app.api
                    .order_set_status(&id, "confirmed")
                    .await
                    .assert_success(200);
                app.api.order_cancel(&id).await.assert_success(200);
            }
        });
        // Now and then somebody holds a transaction open for a while.
        let hold = async {
            while !is_over.load(Ordering::Relaxed) {
                let open = open_transaction(&app).await;
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                open.batch_execute("commit").await.unwrap();
            }
        };
        let writing = async {
            join_all(writers).await;
            is_over.store(true, Ordering::Relaxed);
        };
        join(writing, hold).await;
    };
    let read = async |query: &'static str| {
        let mut follower = Follower::default();
        while !is_over.load(Ordering::Relaxed) {
            follower.read(&app.api, query).await;
        }
        follower.read_until(&app.api, total).await;
        follower
    };
    let (_, followers) = join(write, join_all([read("limit=3"), read("wait=2"), read("")])).await;

    let sql = "select order_id::text, sequence from order_events order by position, number";
    let rows = app.database.db_query(sql, &[]).await;
    let stored: Vec<(String, u64)> = rows
        .iter()
        .map(|row| (row.get(0), u64::try_from(row.get::<_, i32>(1)).unwrap()))
        .collect();
    assert_eq!(stored.len(), total);
    for follower in followers {
        follower.assert_exact();
        assert_eq!(follower.changes(), stored);
    }
}

#[tokio::test]
async fn cursors_stay_valid_in_a_database_that_counts_its_transactions_anew() {
    let app = TestApp::start().await;
    app.an_order_id().await;
    let mut follower = Follower::default();
    follower.read_until(&app.api, 1).await;
    // As after a restore from a dump of a database that had counted much further.
    let further = "update order_events set position = position + 1000000000000";
    app.database.db_execute(further).await;
    app.database
        .db_execute("select order_feed_after_restore()")
        .await;
    let mut restored = Follower::default();
    restored.read_until(&app.api, 1).await;

    let id = app.an_order_id().await;
    restored.read_until(&app.api, 2).await;

    assert_eq!(restored.changes()[1], (id, 1));
    restored.assert_exact();
}

#[tokio::test]
async fn a_reader_that_knows_more_than_what_was_restored_misses_nothing_new() {
    let app = TestApp::start().await;
    app.an_order_id().await;
    let lost = app.an_order_id().await;
    // Another server had counted much further, and was busy before it was lost.
    let further = format!(
        "update order_events set position = position + 1000000000000
            + case when order_id = '{lost}' then 100000 else 0 end"
    );
    app.database.db_execute(&further).await;
    app.database
        .db_execute("select order_feed_after_restore()")
        .await;
    let mut follower = Follower::default();
    follower.read_until(&app.api, 2).await;

    // A dump from before that order, and then the same one again.
    let mut lost = lost;
    for known in 2..4 {
        let older_dump = format!("delete from orders where id = '{lost}'");
        app.database.db_execute(&older_dump).await;
        app.database
            .db_execute("update order_feed set transaction_offset = 0")
            .await;
        app.database
            .db_execute("select order_feed_after_restore()")
            .await;
        lost = app.an_order_id().await;
        follower.read_until(&app.api, known + 1).await;
        assert_eq!(follower.changes()[known], (lost.clone(), 1));
    }
}
