//! `make erase`: what tells who ordered is nowhere any more, and the books are as they were.

use std::process::Command;

use order_service_tests::bodies::order_of;
use order_service_tests::database::url_of;
use order_service_tests::environment::{redis_url, repository};
use order_service_tests::feed::Follower;
use order_service_tests::tokens::with;
use order_service_tests::{TestApp, wait};
use serde_json::Value;

/// In everything that has to go; with what SQL, a shell and Redis might stumble over.
const MARK: &str = "marked";
const USER: &str = "marked 'O\"Neil' $1 \\ %s";

/// Erases a user as an operator does.
async fn erase(app: &TestApp, user: &str) -> Result<(), String> {
    erase_with(app, user, redis_url().as_str()).await
}

async fn erase_with(app: &TestApp, user: &str, redis_url: &str) -> Result<(), String> {
    let database = app
        .database
        .db_query("select current_database()", &[])
        .await;
    let url = url_of(database[0].get(0));
    let mut command = Command::new(repository().join("scripts/erase"));
    command
        .env("ERASE_USER", user)
        .env("ENV_FILE", "/nonexistent")
        .env_remove("MIGRATION_DATABASE_URL")
        .env("DATABASE_URL", url.as_str())
        .env("REDIS_URL", redis_url)
        .env("REDIS_KEY_PREFIX", app.redis_key(""));
    // Not on this thread, which carries what the component and Redis say to each other.
    let done = tokio::task::spawn_blocking(move || command.output());
    let done = done.await.unwrap().expect("scripts/erase");
    match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

/// The tables in which the mark is, and those of whose values Postgres keeps it for its plans.
async fn db_marked(app: &TestApp) -> Vec<String> {
    let tables = "select relname::text from pg_class
                  where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1";
    let mut marked = Vec::new();
    for row in app.database.db_query(tables, &[]).await {
        let table: String = row.get(0);
        let rows = format!("select count(*) from {table} as t where t::text ilike '%{MARK}%'");
        if app.database.db_count(&rows).await > 0 {
            marked.push(table);
        }
    }
    let statistics = format!(
        "select distinct 'statistics of ' || tablename from pg_stats as s
         where schemaname = 'public' and s::text ilike '%{MARK}%' order by 1"
    );
    for row in app.database.db_query(&statistics, &[]).await {
        marked.push(row.get(0));
    }
    marked
}

/// The keys of Redis at which the mark is.
async fn redis_marked(app: &TestApp) -> Vec<String> {
    let mut marked = Vec::new();
    let mut keys = redis::cmd("keys");
    keys.arg(format!("{}*", app.redis_key("")));
    for key in app.redis_command::<Vec<String>>(&keys).await {
        let script = "
            local kind = redis.call('type', KEYS[1]).ok
            if kind == 'string' then return redis.call('get', KEYS[1]) or '' end
            if kind == 'hash' then return table.concat(redis.call('hgetall', KEYS[1]), ' ') end
            return kind";
        let mut read = redis::cmd("eval");
        read.arg(script).arg(1).arg(&key);
        let value: Vec<u8> = app.redis_command(&read).await;
        assert!(!["list", "set", "zset", "stream"].contains(&&*String::from_utf8_lossy(&value)));
        if String::from_utf8_lossy(&value).contains(MARK) {
            marked.push(key);
        }
    }
    marked
}

/// What the books are made of: lines and amounts, by order.
async fn db_books(app: &TestApp) -> Vec<String> {
    let lines = "
        select concat_ws(' ', o.id, o.status, o.total_amount, o.currency, o.created_at, i.id,
                         i.product_id, i.quantity, i.unit_price, i.subtotal)
        from orders as o join order_items as i on i.order_id = o.id order by 1";
    let rows = app.database.db_query(lines, &[]).await;
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn an_erased_user_is_in_no_table_no_cache_and_no_feed_and_the_books_stay() {
    let app = TestApp::start().await;
    let mut order = with(order_of(&["p1"]), "user_id", USER);
    for field in ["shipping_address", "billing_address", "notes"] {
        order = with(order, field, format!("{MARK} {field}"));
    }
    let key = format!("{MARK}-key");
    let created = app.api.order_create_by_key(&key, &order).await.success(201);
    let open = created.data()["id"].as_str().unwrap().to_owned();
    let key = format!("{MARK}-other-key");
    let created = app.api.order_create_by_key(&key, &order).await.success(201);
    let created = created.data();
    let cancelled = created["id"].as_str().unwrap();
    let because = app.api.order_cancel_because(cancelled, "marked reason");
    because.await.assert_success(200);
    let others = app.an_order().await;
    for id in [&open, cancelled] {
        app.until_cached(id).await;
    }
    let books = db_books(&app).await;
    let total = app.api.order_list("").await.success(200).json()["pagination"]["total"].clone();
    app.database.db_execute("analyze").await;
    assert_eq!(
        db_marked(&app).await,
        [
            "idempotency_keys",
            "order_events",
            "orders",
            "user_order_counts",
            "statistics of idempotency_keys",
            "statistics of orders",
            "statistics of user_order_counts"
        ]
    );
    // Other reads may still be on their way into the cache.
    wait::until("the copies in the cache are all", async || {
        redis_marked(&app).await.len() == 2
    })
    .await;

    erase(&app, USER).await.unwrap();

    assert_eq!(db_marked(&app).await, Vec::<String>::new());
    assert_eq!(redis_marked(&app).await, Vec::<String>::new());
    assert_eq!(db_books(&app).await, books);
    let mut feed = Follower::default();
    feed.read_until(&app.api, 6).await;
    assert!(!Value::from(feed.events.clone()).to_string().contains(MARK));
    let erased: Vec<_> = feed
        .events
        .iter()
        .filter(|it| it["type"] == "order.erased")
        .collect();
    assert_eq!(erased.len(), 2, "{:#?}", feed.events);
    for event in erased {
        let order = &event["order"];
        let id = order["id"].as_str().unwrap();
        assert_eq!(order["user_id"], format!("erased:{id}"));
        assert_eq!(event["sequence"], order["version"]);
        assert_eq!(
            (&event["from"], &event["to"]),
            (&order["status"], &order["status"])
        );
        let read = app.api.order_get(id).await.success(200);
        assert_eq!(&read.data(), order);
        app.until_cached(id).await;
        assert_eq!(&app.api.order_get(id).await.success(200).data(), order);
    }
    let list = app.api.order_list("").await.success(200);
    assert!(!list.text().contains(MARK));
    assert_eq!(list.json()["pagination"]["total"], total);
    let own = app.api.user_orders(USER, "").await.success(200);
    assert_eq!(own.json()["pagination"]["total"], 0);
    let id = others["id"].as_str().unwrap();
    assert_eq!(app.api.order_get(id).await.success(200).data(), others);
    // An erased order goes on as any other, and its history has no gap.
    app.api
        .order_set_status(&open, "confirmed")
        .await
        .assert_success(200);
    let history = app.api.order_history(&open).await.success(200).data();
    let sequences: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["sequence"].clone())
        .collect();
    assert_eq!(Value::from(sequences), serde_json::json!([1, 2, 3]));
    // Again, there is nothing to do.
    erase(&app, USER).await.unwrap();
}

#[tokio::test]
async fn an_erased_user_is_not_in_the_archive_and_in_no_statistics_of_it() {
    let app = TestApp::start().await;
    let mut order = with(order_of(&["p1"]), "user_id", USER);
    order = with(order, "shipping_address", format!("{MARK} address"));
    for number in 1..=2 {
        let key = format!("{MARK}-key-{number}");
        let created = app.api.order_create_by_key(&key, &order).await.success(201);
        let id = created.data()["id"].as_str().unwrap().to_owned();
        let because = app.api.order_cancel_because(&id, "marked reason");
        because.await.assert_success(200);
    }
    app.an_order().await;
    let age = "update orders set created_at = created_at - interval '3 years' where user_id ilike 'marked%'";
    app.database.db_execute(age).await;
    app.database
        .db_execute("call orders_archive('2999-01-01')")
        .await;
    app.database.db_execute("analyze").await;
    let marked = db_marked(&app).await;
    for table in ["orders", "order_events", "idempotency_keys"] {
        let statistics = format!("statistics of archived_{table}");
        assert!(marked.contains(&statistics), "{marked:?}");
    }

    erase(&app, USER).await.unwrap();

    assert_eq!(db_marked(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_read_before_an_erasure_cannot_come_back_into_the_cache() {
    let app = TestApp::start().await;
    let order = with(order_of(&["p1"]), "user_id", USER);
    let created = app.api.order_create(&order).await.success(201).data();
    let id = created["id"].as_str().unwrap();
    app.until_cached(id).await;

    // The service changes the order between the two steps, and gives the old copy a new head.
    app.database
        .db_execute("call order_erase('marked ''O\"Neil'' $1 \\ %s')")
        .await;
    app.api
        .order_set_status(id, "confirmed")
        .await
        .assert_success(200);
    assert_eq!(redis_marked(&app).await.len(), 1);
    erase(&app, USER).await.unwrap();

    assert_eq!(redis_marked(&app).await, Vec::<String>::new());
    wait::until("it is cached anew", async || {
        app.until_cached(id).await;
        let reply = app.api.order_get(id).await.success(200);
        assert!(!reply.text().contains(MARK), "{}", reply.text());
        true
    })
    .await;
    assert_eq!(redis_marked(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn nobody_and_what_is_erased_already_cannot_be_erased() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;

    let nobody = erase(&app, "").await.unwrap_err();
    assert!(nobody.contains("name the user"), "{nobody}");
    let erased = erase(&app, &format!("erased:{id}")).await.unwrap_err();
    assert!(erased.contains("belongs to nobody"), "{erased}");
}

#[tokio::test]
async fn an_erasure_that_redis_has_not_heard_of_is_no_success() {
    let app = TestApp::start().await;
    app.an_order_id().await;

    let failed = erase_with(&app, "user123", "redis://127.0.0.1:9").await;
    let failed = failed.unwrap_err();
    assert!(failed.contains("run it again"), "{failed}");
    erase(&app, "user123").await.unwrap();
    // There is nothing to forget.
    erase(&app, "nobody").await.unwrap();
}
