//! How Postgres finds the orders of a list: always by an index, however many orders there are.

use std::error::Error;

use order_service_tests::TestApp;
use order_service_tests::client::encode;
use order_service_tests::link::Request;
use order_service_tests::seed::db_seed;
use serde_json::Value;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// Enough that reading the whole table costs more than any index, for a list and for one order.
const ORDERS: u64 = 50_000;
const ORDERS_FOR_ONE: u64 = 5_000;

/// Tables that grow with the orders. The counters of all orders are a few rows for ever.
const GROWING: [&str; 8] = [
    "orders",
    "order_items",
    "order_events",
    "user_order_counts",
    "archived_orders",
    "archived_order_items",
    "archived_order_events",
    "archived_idempotency_keys",
];

/// Archives what is older than some months of the seeded year.
async fn db_archive_half(app: &TestApp) {
    let sql = "call orders_archive((now() at time zone 'utc')::date - 180)";
    app.database.db_execute(sql).await;
    app.database.db_execute("vacuum analyze").await;
}

/// A parameter just as the service has sent it.
#[derive(Debug)]
struct Sent<'a>(&'a Option<Vec<u8>>);

impl ToSql for Sent<'_> {
    fn to_sql(
        &self,
        type_: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql_checked(type_, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    fn to_sql_checked(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match self.0 {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }
}

/// The plan that Postgres makes for a statement of the service, with its very parameters.
async fn db_plan(app: &TestApp, request: &Request) -> Value {
    let sql = format!("explain (format json) {}", request.text);
    let parameters: Vec<Sent<'_>> = request.parameters.iter().map(Sent).collect();
    let parameters: Vec<_> = parameters
        .iter()
        .map(|it| it as &(dyn ToSql + Sync))
        .collect();
    app.database.db_query(&sql, &parameters).await[0].get(0)
}

/// The tables that a plan reads from one end to the other.
fn tables_read_whole(plan: &Value) -> Vec<String> {
    match plan {
        Value::Array(parts) => parts.iter().flat_map(tables_read_whole).collect(),
        Value::Object(node) => {
            let mut tables: Vec<String> = node.values().flat_map(tables_read_whole).collect();
            let is_whole = node
                .get("Node Type")
                .and_then(Value::as_str)
                .is_some_and(|kind| kind.ends_with("Seq Scan"));
            if is_whole {
                let name = node["Relation Name"].as_str().unwrap_or_default();
                tables.push(name.to_owned());
            }
            tables
        }
        _ => Vec::new(),
    }
}

/// Every combination of filters: none, or one of these.
fn filters() -> Vec<String> {
    let users = ["", "&user_id=user7", "&user_id=nobody"];
    let statuses = ["", "&status=pending", "&status=delivered"];
    let from = [
        "",
        "&created_from=1990-01-01T00:00:00Z",
        "&created_from=2999-01-01T00:00:00Z",
    ];
    let to = [
        "",
        "&created_to=2999-01-01T00:00:00Z",
        "&created_to=1990-01-01T00:00:00Z",
    ];
    let mut filters = vec![String::new()];
    for choices in [&users, &statuses, &from, &to] {
        let longer = filters.iter().flat_map(|filter| {
            choices
                .iter()
                .map(move |choice| format!("{filter}{choice}"))
        });
        filters = longer.collect();
    }
    filters
}

#[tokio::test]
async fn no_list_reads_a_whole_table() {
    let app = TestApp::start().await;
    db_seed(&app.database, ORDERS).await;
    db_archive_half(&app).await;
    app.postgres.forget();

    for filter in filters() {
        let first = format!("page_size=10{filter}");
        let reply = app.api.order_list(&first).await.success(200);
        if let Some(cursor) = reply.json()["pagination"]["next_cursor"].as_str() {
            let next = format!("{first}&cursor={}", encode(cursor));
            app.api.order_list(&next).await.assert_success(200);
        }
        let deep = format!("page=100&page_size=100{filter}");
        app.api.order_list(&deep).await.assert_success(200);
    }
    let history = app.api.user_orders("user7", "status=pending").await;
    history.assert_success(200);

    let requests = app.postgres.seen_requests();
    assert!(requests.len() > 2 * filters().len(), "{}", requests.len());
    let mut read_whole = Vec::new();
    for request in &requests {
        let plan = db_plan(&app, request).await;
        let tables = tables_read_whole(&plan);
        if tables.iter().any(|table| GROWING.contains(&table.as_str())) {
            read_whole.push(format!("{tables:?} by {}\n{plan:#}", request.text));
        }
    }
    let count = read_whole.len();
    assert!(
        read_whole.is_empty(),
        "{count} statements, such as {}",
        read_whole[0]
    );
}

#[tokio::test]
async fn an_order_is_found_and_changed_by_an_index() {
    let app = TestApp::start().await;
    db_seed(&app.database, ORDERS_FOR_ONE).await;
    let id = app.an_order_id().await;
    let key = app.redis_key(&format!("order:{id}"));
    app.until_cached(&id).await;
    let _removed: i64 = app.redis_command(redis::cmd("del").arg(&key)).await;
    app.postgres.forget();

    app.api.order_get(&id).await.assert_success(200);
    app.api
        .order_set_status(&id, "confirmed")
        .await
        .assert_success(200);
    app.api.order_cancel(&id).await.assert_success(200);

    let requests = app.postgres.seen_requests();
    assert_eq!(requests.len(), 3, "{requests:#?}");
    for request in &requests {
        assert_eq!(
            db_tables_read_whole(&app, request).await,
            [""; 0],
            "{}",
            request.text
        );
    }
}

#[tokio::test]
async fn an_archived_order_is_found_by_an_index() {
    let app = TestApp::start().await;
    db_seed(&app.database, ORDERS_FOR_ONE).await;
    db_archive_half(&app).await;
    let sql = "select id::text from archived_orders where status = 'delivered' limit 1";
    let id: String = app.database.db_query(sql, &[]).await[0].get(0);
    app.postgres.forget();

    app.api.order_get(&id).await.assert_success(200);
    app.api.order_history(&id).await.assert_success(200);
    app.api
        .order_cancel(&id)
        .await
        .assert_error(409, "order_not_cancellable");
    app.api.events("limit=10").await.assert_success(200);

    let requests = app.postgres.seen_requests();
    assert_eq!(requests.len(), 4, "{requests:#?}");
    for request in &requests {
        assert_eq!(
            db_tables_read_whole(&app, request).await,
            [""; 0],
            "{}",
            request.text
        );
    }
}

/// The growing tables that a statement really reads from one end to the other, also where it calls
/// a function, whose plans it does not show.
async fn db_tables_read_whole(app: &TestApp, request: &Request) -> Vec<String> {
    let parameters: Vec<_> = request.parameters.iter().map(Sent).collect();
    let parameters: Vec<_> = parameters
        .iter()
        .map(|it| it as &(dyn ToSql + Sync))
        .collect();
    // Statistics of earlier transactions may still be among them.
    let sql = "select relname::text, seq_scan from pg_stat_xact_user_tables
               where relname = any ($1) order by 1";
    let scans = async || -> Vec<(String, i64)> {
        let rows = app.database.db_query(sql, &[&GROWING.as_slice()]).await;
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    app.database.db_execute("begin").await;
    let before = scans().await;
    app.database.db_query(&request.text, &parameters).await;
    let after = scans().await;
    app.database.db_execute("rollback").await;
    let more = after.into_iter().filter(|table| !before.contains(table));
    more.map(|(name, _)| name).collect()
}
