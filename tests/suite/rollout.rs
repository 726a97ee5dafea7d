//! While a release rolls out: what this one answers before its migrations are applied, and how it and
//! the release before serve each other's orders. Migrations come first, but a pod may be quicker.

use std::path::{Path, PathBuf};
use std::process::Command;

use order_service::routes::ROUTES;
use order_service_tests::database::{Database, url_of};
use order_service_tests::environment::repository;
use order_service_tests::{Client, Reply, TestApp, migrations};
use serde_json::Value;
use uuid::Uuid;

use crate::counters::db_assert_exact;
use crate::migrations::OLD_CREATION;
use crate::routes::call;

/// How many migrations the first release came with.
const FIRST_RELEASE: usize = 2;

/// The rows of all tables, whatever tables there are.
async fn db_rows(database: &Database) -> String {
    let sql = "
        select coalesce(string_agg(table_to_xml(oid, true, false, '')::text, '' order by oid), '')
        from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r'
              and relname <> 'schema_migrations'";
    database.db_query(sql, &[]).await[0].get(0)
}

fn newest() -> String {
    migrations::all().pop().expect("a migration").version
}

#[track_caller]
fn assert_not_migrated(reply: &Reply) {
    reply.assert_error(503, "not_ready");
    assert!(reply.text().contains(&newest()), "{}", reply.text());
}

/// The routes that need tables. Sorted by name, a confirmation comes before the cancellation, and so
/// all can succeed one after the other.
fn routes() -> Vec<String> {
    let routes = ROUTES
        .iter()
        .filter(|route| route.path.starts_with("/api/"));
    let mut routes: Vec<_> = routes
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    routes.sort();
    routes
}

/// Calls every route that needs tables, for an order that is pending, and returns those that were
/// refused; what is refused has changed nothing.
async fn refused(database: &Database, api: &Client, order_id: &str) -> Vec<String> {
    let mut refused = Vec::new();
    for route in routes() {
        let before = db_rows(database).await;
        let (status, reply) = call(api, &route, order_id).await.expect("a known route");
        if reply.status == status {
            continue;
        }
        assert_not_migrated(&reply);
        assert_eq!(db_rows(database).await, before, "{route}");
        refused.push(route);
    }
    refused
}

#[tokio::test]
async fn without_its_migrations_it_refuses_and_is_ready_as_soon_as_they_are_applied() {
    let app = TestApp::builder().empty_database().start().await;
    let (database, all) = (&app.database, migrations::all());
    let mut id = Uuid::nil().to_string();

    // Not even dbmate's own table.
    assert_not_migrated(&app.api.ready().await);
    migrations::create_versions_table(database.client())
        .await
        .unwrap();
    for applied in 0..=all.len() {
        if applied > 0 {
            all[applied - 1].apply(database.client()).await.unwrap();
        }
        if applied >= FIRST_RELEASE {
            id = format!("0190b6a0-0000-7000-8000-{applied:012}");
            database.db_query(OLD_CREATION, &[&id]).await;
        }

        let refused = refused(database, &app.api, &id).await;

        app.api.health().await.assert_success(200);
        let ready = app.api.ready().await;
        if applied == all.len() {
            assert_eq!(refused, [""; 0]);
            ready.assert_success(200);
        } else {
            assert_not_migrated(&ready);
        }
        if applied <= FIRST_RELEASE {
            assert_eq!(refused, routes(), "with {applied} migrations");
        }
    }
    db_assert_exact(database).await;
}

/// The release before: its migrations, and a manifest with its component.
fn release_before() -> PathBuf {
    let folder = std::env::var_os("TEST_RELEASE");
    folder.expect("scripts/check-compatibility").into()
}

fn dbmate_up(database: &Database, migrations: &Path) {
    let dbmate = std::env::var_os("DBMATE").expect("DBMATE names the program");
    let mut url = url_of(&database.name);
    url.set_query(Some("sslmode=disable"));
    let output = Command::new(dbmate)
        .args(["--env-file", "/dev/null", "--no-dump-schema"])
        .arg("--migrations-dir")
        .arg(migrations)
        .arg("up")
        .env("DBMATE_STRICT", "true")
        .env("DATABASE_URL", url.as_str())
        .output()
        .expect("dbmate can be run");
    assert!(output.status.success(), "{output:?}");
}

/// Whether a document says what another one says, and maybe more.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, value)| whole.get(name).is_some_and(|it| covers(it, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(it, part)| covers(it, part))
        }
        _ => whole == part,
    }
}

/// Makes the next read one of the database.
async fn uncache(app: &TestApp, id: &str) {
    let key = app.redis_key(&format!("order:{id}"));
    let _: i64 = app.redis_command(redis::cmd("del").arg(key)).await;
}

#[tokio::test]
#[ignore = "needs the release before; `make test STEPS=compatibility` builds it and runs this"]
async fn this_release_beside_the_one_before() {
    let release = release_before();
    let old_manifest = release.join("spin.today.toml");
    let builder = TestApp::builder().empty_database().manifest(old_manifest);
    let app = builder.start().await;
    let database = &app.database;
    dbmate_up(database, &release.join("migrations"));
    let old = &app.api;
    old.ready().await.assert_success(200);
    let mut orders = Vec::new();
    for status in ["pending", "shipped", "cancelled"] {
        let id = app.an_order_that_is(status).await;
        app.until_cached(&id).await;
        orders.push(old.order_get(&id).await.success(200).data());
    }
    let ids: Vec<_> = orders
        .iter()
        .map(|order| order["id"].as_str().expect("an id").to_owned())
        .collect();

    // This one starts before its migrations are applied.
    let host = app.another_host().await;
    let new = Client::new(host.url());
    new.health().await.assert_success(200);
    assert_not_migrated(&new.ready().await);
    // What the release before has cached needs no table.
    assert_eq!(new.order_get(&ids[1]).await.success(200).data(), orders[1]);
    uncache(&app, &ids[0]).await;
    assert_eq!(refused(database, &new, &ids[0]).await, routes());
    // The one before goes on beside it, and reads nothing else than before.
    assert_eq!(old.order_get(&ids[0]).await.success(200).data(), orders[0]);
    app.an_order().await;

    dbmate_up(database, &repository().join("migrations"));

    new.ready().await.assert_success(200);
    old.ready().await.assert_success(200);
    for (id, order) in ids.iter().zip(&orders) {
        uncache(&app, id).await;
        let read = new.order_get(id).await.success(200).data();
        assert!(covers(&read, order), "{read} does not cover {order}");
    }
    let list = new.order_list("").await.success(200);
    assert_eq!(list.json()["pagination"]["total"], 4);
    assert_eq!(list.ids(), old.order_list("").await.success(200).ids());
    let history = new.order_history(&ids[1]).await.success(200).data();
    assert_eq!(history.as_array().map(Vec::len), Some(3), "{history}");
    let changes = database.db_count("select count(*) from order_events").await;
    let events = new.events("limit=500").await.success(200).data();
    assert_eq!(events.as_array().map(|it| it.len() as i64), Some(changes));

    // Each changes what the other has read and cached.
    for (one, other, status) in [
        (&new, old, "confirmed"),
        (old, &new, "shipped"),
        (&new, old, "delivered"),
    ] {
        other.order_get(&ids[0]).await.assert_success(200);
        one.order_set_status(&ids[0], status)
            .await
            .assert_success(200);
        for api in [one, other] {
            let read = api.order_get(&ids[0]).await.success(200).data();
            assert_eq!(read["status"], status, "{read}");
        }
    }
    for (one, other) in [(&new, old), (old, &new)] {
        let body = order_service_tests::bodies::order_of(&["p1"]);
        let order = one.order_create(&body).await.success(201).data();
        let id = order["id"].as_str().expect("an id");
        let read = other.order_get(id).await.success(200).data();
        assert!(
            covers(&read, &order) || covers(&order, &read),
            "{read} {order}"
        );
    }
    db_assert_exact(database).await;
}
