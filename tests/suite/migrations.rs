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
