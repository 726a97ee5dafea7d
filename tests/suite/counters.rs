//! The counters from which lists take their totals: right whoever changes the orders.

use order_service_tests::TestApp;
use order_service_tests::database::Database;
use order_service_tests::migrations;
use order_service_tests::seed::db_seed;

const ORDERS: u64 = 2_000;

/// Compares all counters with a count of the orders.
pub async fn db_assert_exact(database: &Database) {
    let sql = "
        with counted as (
            select 'all' as what, null as of, status, sum(count) as count
            from order_counts group by status
            union all
            select 'day', day::text, status, sum(count) from order_day_counts group by day, status
            union all
            select 'user', user_id, status, count from user_order_counts
        ), expected as (
            select 'all' as what, null as of, status, count(*) from orders group by status
            union all
            select 'day', (created_at at time zone 'utc')::date::text as of, status, count(*)
            from orders group by of, status
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
        "update orders set created_at = created_at - interval '7 hours'",
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
async fn the_totals_of_all_spans_of_time_are_exact() {
    let app = TestApp::start().await;
    db_seed(&app.database, ORDERS).await;
    // Some at the very beginning and end of a day.
    app.database
        .db_execute(
            "update orders set created_at = date_trunc('day', created_at, 'utc')
             where notes is null and status = 'pending';
             update orders set created_at = date_trunc('day', created_at, 'utc')
                 - interval '1 microsecond'
             where notes is null and status = 'delivered'",
        )
        .await;
    let moments = "
        select to_char(moment at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
        from (
            select now() - random() * interval '380 days' as moment from generate_series(1, 4)
            union all (select created_at from orders order by random() limit 2)
            union all (select date_trunc('day', created_at, 'utc') from orders
                       order by random() limit 2)) as moments";
    let moments = app.database.db_query(moments, &[]).await;
    let moments: Vec<String> = moments.iter().map(|row| row.get(0)).collect();

    for from in &moments {
        for to in &moments {
            assert_total(&app, Some(from), Some(to)).await;
        }
        assert_total(&app, Some(from), None).await;
        assert_total(&app, None, Some(from)).await;
    }
}

/// Compares the total of a span with a count of its orders, for all of them and for some.
async fn assert_total(app: &TestApp, from: Option<&str>, to: Option<&str>) {
    let (mut span, mut query) = (String::from("true"), String::from("page_size=1"));
    for (name, operator, moment) in [("created_from", ">=", from), ("created_to", "<", to)] {
        if let Some(moment) = moment {
            span += &format!(" and created_at {operator} '{moment}'");
            query += &format!("&{name}={moment}");
        }
    }
    for (filter, condition) in [
        ("", "true"),
        ("&status=pending", "status = 'pending'"),
        ("&user_id=user7", "user_id = 'user7'"),
        (
            "&user_id=user7&status=delivered",
            "user_id = 'user7' and status = 'delivered'",
        ),
    ] {
        let sql = format!("select count(*) from orders where {span} and {condition}");
        let expected = app.database.db_count(&sql).await;
        let query = format!("{query}{filter}");
        assert_eq!(total(app, &query).await, expected, "{query}");
    }
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
