//! The migrations, up and down, on an empty and on a filled database.

use order_service_tests::TestApp;
use order_service_tests::bodies::order_but;
use order_service_tests::database::Database;
use order_service_tests::migrations::{self, Migration};

/// Every table, column, index, constraint, trigger and function of the service, as text.
async fn db_schema(database: &Database) -> Vec<String> {
    let sql = "
        select 'column ' || table_name || '.' || column_name || ' ' || data_type || ' '
               || coalesce(column_default, '') || ' ' || is_nullable as line
        from information_schema.columns where table_schema = 'public'
        union all
        select indexdef from pg_indexes where schemaname = 'public'
        union all
        select 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'public'::regnamespace
        union all
        select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
        union all
        select 'function ' || pg_get_functiondef(oid)
        from pg_proc where pronamespace = 'public'::regnamespace
        order by 1";
    database
        .db_query(sql, &[])
        .await
        .iter()
        .map(|row| row.get(0))
        .collect()
}

async fn up(database: &Database, all: &[Migration]) {
    for migration in all {
        let applied = migration.apply(database.client()).await;
        applied.unwrap_or_else(|error| panic!("{} up: {error:?}", migration.name));
    }
}

async fn down(database: &Database, all: &[Migration]) {
    for migration in all.iter().rev() {
        let reverted = migration.revert(database.client()).await;
        reverted.unwrap_or_else(|error| panic!("{} down: {error:?}", migration.name));
    }
}

#[tokio::test]
async fn each_migration_can_be_taken_back_on_an_empty_database() {
    let database = Database::create_empty().await;
    migrations::create_versions_table(database.client())
        .await
        .unwrap();

    for migration in migrations::all() {
        let before = db_schema(&database).await;
        migration.apply(database.client()).await.unwrap();
        let after = db_schema(&database).await;
        migration.revert(database.client()).await.unwrap();

        assert_ne!(before, after, "{} does something", migration.name);
        assert_eq!(
            before,
            db_schema(&database).await,
            "{} leaves nothing",
            migration.name
        );
        migration.apply(database.client()).await.unwrap();
        assert_eq!(
            after,
            db_schema(&database).await,
            "{} again",
            migration.name
        );
    }
}

#[tokio::test]
async fn all_migrations_can_be_taken_back_on_a_filled_database() {
    let app = TestApp::start().await;
    for number in 0..5 {
        let body = order_but("/user_id", format!("user{number}"));
        app.api.order_create(&body).await.assert_success(201);
    }
    let (database, all) = (&app.database, migrations::all());
    let full = db_schema(database).await;

    down(database, &all).await;
    let empty = db_schema(database).await;
    up(database, &all).await;

    assert!(
        empty.iter().all(|line| line.contains("schema_migrations")),
        "{empty:#?}"
    );
    assert_eq!(db_schema(database).await, full);
    app.api
        .order_create(&order_but("/user_id", "again"))
        .await
        .assert_success(201);
}

#[tokio::test]
async fn each_newer_migration_keeps_the_orders_that_are_there() {
    let app = TestApp::start().await;
    let order = app.an_order().await;
    let id = order["id"].as_str().unwrap();
    let newer = migrations::all().split_off(1);

    down(&app.database, &newer).await;
    up(&app.database, &newer).await;
    let _: i64 = app
        .redis_command(redis::cmd("del").arg(app.redis_key(&format!("order:{id}"))))
        .await;

    let read = app.api.order_get(id).await.success(200);
    assert_eq!(read.data(), order);
    let list = app.api.order_list("").await;
    if list.status == 200 {
        assert_eq!(list.json()["pagination"]["total"], 1);
    }
}

/// What the release before this one sends: it knows nothing of bodies.
pub const OLD_CREATION: &str = "
    with placed as (
        insert into orders (id, user_id, status, total_amount, currency, shipping_address,
                            billing_address, notes, version, created_at, updated_at)
        values ($1::text::uuid, 'user123', 'pending', 20.00, 'USD', 'there', 'there', null, 1, now(), now())
        on conflict (id) do nothing
        returning id, status, version, created_at
    ), event as (
        insert into order_events (order_id, sequence, to_status, created_at)
        select id, version, status, created_at from placed
    )
    insert into order_items (id, order_id, line, product_id, quantity, unit_price, subtotal,
                             created_at, updated_at)
    select gen_random_uuid(), placed.id, item.line, item.product_id, item.quantity,
           item.unit_price, item.subtotal, placed.created_at, placed.created_at
    from placed, unnest(array['b', 'a'], array[1, 1], array[10.00, 10.00], array[10.00, 10.00])
             with ordinality as item (product_id, quantity, unit_price, subtotal, line)";
const OLD_CHANGE: &str = "
    update orders set status = 'confirmed', version = version + 1, updated_at = clock_timestamp()
    where id = $1::text::uuid and status = 'pending'";

#[tokio::test]
async fn orders_of_the_release_before_are_read_like_all_others() {
    let app = TestApp::start().await;
    let database = &app.database;
    let id = "0190b6a0-0000-7000-8000-000000000001";
    let bodies = "select count(body) from orders";

    for statement in [OLD_CREATION, OLD_CHANGE] {
        database.db_query(statement, &[&id]).await;
    }
    assert_eq!(database.db_count(bodies).await, 0);
    let read = app.api.order_get(id).await.success(200).data();
    let listed = app.api.order_list("status=confirmed").await.success(200);
    database.db_execute("call orders_fill_bodies(1)").await;
    assert_eq!(database.db_count(bodies).await, 1);
    let listed_after = app.api.order_list("").await.success(200).data();

    assert_eq!(
        (&read["status"], &read["version"]),
        (&"confirmed".into(), &2.into())
    );
    let products = [0, 1].map(|line| read["order_items"][line]["product_id"].clone());
    assert_eq!(products, ["b", "a"]);
    assert_eq!(listed.json()["pagination"]["total"], 1);
    assert_eq!(listed.data()[0], read);
    assert_eq!(listed_after[0], read);
    // And it changes what this release has made.
    let order = app.an_order_id().await;
    database.db_query(OLD_CHANGE, &[&order]).await;
    let listed = app.api.order_list("").await.success(200).data();
    assert_eq!(
        (&listed[0]["id"], &listed[0]["version"]),
        (&order.into(), &2.into())
    );
}

#[tokio::test]
async fn bodies_are_filled_beside_orders_that_somebody_is_changing() {
    let app = TestApp::start().await;
    let database = &app.database;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(app.an_order_id().await);
    }
    database.db_execute("update orders set body = null").await;
    let before = database
        .db_query(
            "select updated_at::text, version from orders order by id",
            &[],
        )
        .await;
    let busy = Database::connect_to(&database.name).await;
    busy.batch_execute(&format!(
        "begin; update orders set notes = 'busy' where id = '{}'",
        ids[2]
    ))
    .await
    .unwrap();

    database.db_execute("call orders_fill_bodies(2)").await;
    let filled = "select count(*) from orders where body = order_body_of(id)";
    assert_eq!(
        database.db_count(filled).await,
        4,
        "without waiting for the busy one"
    );
    busy.batch_execute("commit").await.unwrap();
    database.db_execute("call orders_fill_bodies(2)").await;

    assert_eq!(database.db_count(filled).await, 5);
    let after = database
        .db_query(
            "select updated_at::text, version from orders order by id",
            &[],
        )
        .await;
    let rows = |rows: &[tokio_postgres::Row]| -> Vec<(String, i32)> {
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    assert_eq!(rows(&after), rows(&before));
    assert_eq!(
        database
            .db_count("select sum(count)::bigint from order_counts")
            .await,
        5
    );
}

#[test]
fn migrations_are_named_and_ordered_as_dbmate_expects() {
    let all = migrations::all();

    assert!(!all.is_empty());
    for migration in &all {
        let is_timestamp = migration.version.len() == 14
            && migration.version.bytes().all(|byte| byte.is_ascii_digit());
        assert!(is_timestamp, "{}", migration.name);
    }
    assert!(all.windows(2).all(|pair| pair[0].version < pair[1].version));
}
