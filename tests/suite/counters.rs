//! The counters from which lists take their totals: right whoever changes the orders.

use order_service_tests::TestApp;
use order_service_tests::database::Database;
use order_service_tests::migrations;
use order_service_tests::seed::db_seed;

const ORDERS: u64 = 2_000;

/// Compares all counters with a count of the orders.
async fn db_assert_exact(database: &Database) {
    let sql = "
        with counted as (
            select 'all' as what, null as user_id, status, sum(count) as count
            from order_counts group by status
            union all
            select 'user', user_id, status, count from user_order_counts
        ), expected as (
            select 'all' as what, null as user_id, status, count(*) from orders group by status
            union all
            select 'user', user_id, status, count(*) from orders group by user_id, status
        ), differing as (
            (table counted except table expected) union all (table expected except table counted)
        )
        select coalesce(string_agg(differing::text, ' '), '') from differing where count <> 0";
    let differing: String = database.db_query(sql, &[]).await[0].get(0);
    assert_eq!(differing, "");
}

async fn total(app: &TestApp, query: &str) -> i64 {
    let list = app.api.order_list(query).await.success(200).json();
    list["pagination"]["total"].as_i64().expect("a number")
}

#[tokio::test]
async fn changes_by_sql_are_counted() {
    let app = TestApp::start().await;
    db_seed(&app.database, ORDERS).await;
    db_assert_exact(&app.database).await;

    for change in [
        "update orders set status = 'cancelled' where status = 'pending'",
        "update orders set notes = 'nothing to count'",
        "update orders set user_id = 'user7', status = 'shipped' where user_id < 'user3'",
        "update orders set id = gen_random_uuid() where status = 'none'",
        "delete from orders where user_id = 'user7' and status = 'shipped'",
        "delete from orders where false",
        "insert into orders select * from orders where false",
        "with gone as (delete from orders where status = 'delivered' returning id)
         update orders set status = 'delivered' where status = 'confirmed'",
        "insert into orders (id, user_id, status, total_amount, shipping_address, billing_address)
         select gen_random_uuid(), 'new', 'pending', 1, 'a', 'a' from generate_series(1, 10)
         on conflict do nothing",
        "delete from orders",
    ] {
        app.database.db_execute(change).await;

        db_assert_exact(&app.database).await;
        let count = app.db_order_count().await;
        assert_eq!(total(&app, "page_size=1").await, count, "{change}");
    }
    assert_eq!(app.db_order_count().await, 0);
}

#[tokio::test]
async fn what_is_rolled_back_is_not_counted() {
    let app = TestApp::start().await;
    db_seed(&app.database, 100).await;

    app.database
        .db_execute("begin; delete from orders; rollback")
        .await;

    db_assert_exact(&app.database).await;
    assert_eq!(total(&app, "").await, 100);
}

#[tokio::test]
async fn truncating_counts_nothing() {
    let app = TestApp::start().await;
    db_seed(&app.database, 100).await;

    app.database.db_execute("truncate orders cascade").await;

    db_assert_exact(&app.database).await;
    assert_eq!(total(&app, "").await, 0);
    assert_eq!(total(&app, "user_id=user7").await, 0);
    app.an_order().await;
    assert_eq!(total(&app, "status=pending").await, 1);
}

#[tokio::test]
async fn counting_again_after_a_migration_finds_all_orders() {
    let app = TestApp::start().await;
    db_seed(&app.database, ORDERS).await;
    let newer = migrations::all().split_off(1);
    let client = app.database.client();

    for migration in newer.iter().rev() {
        migration.revert(client).await.expect("its way down");
    }
    // Changed while nobody counts.
    app.database
        .db_execute("update orders set status = 'cancelled' where status = 'confirmed'")
        .await;
    for migration in &newer {
        migration.apply(client).await.expect("its way up");
    }

    db_assert_exact(&app.database).await;
    assert_eq!(
        total(&app, "page_size=1").await,
        i64::try_from(ORDERS).unwrap()
    );
    assert_eq!(total(&app, "status=confirmed").await, 0);
}
