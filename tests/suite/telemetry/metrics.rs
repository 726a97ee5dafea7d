//! `GET /metrics`.

use order_service_tests::database::Database;
use order_service_tests::scrape::Scrape;
use order_service_tests::{TestApp, wait};
use reqwest::Method;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// What `scripts/check-observability` reads with the parser of Prometheus's client library.
fn keep(name: &str, text: &str) {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

/// A service that has done everything there is to count.
pub(super) async fn a_busy_app() -> TestApp {
    let app = TestApp::start().await;
    app.products.set(
        "flaky",
        vec![
            sample_products::Reply::status(500),
            sample_products::Reply::priced("1.00"),
        ],
    );
    let id = app.an_order_id().await;
    app.until_cached(&id).await;
    app.api.order_get(&id).await.assert_success(200);
    app.api
        .order_set_status(&id, "confirmed")
        .await
        .assert_success(200);
    let flaky = order_service_tests::bodies::order_of(&["flaky"]);
    app.api.order_create(&flaky).await.assert_success(201);
    app.api.get("/nothing").await.assert_error(404, "not_found");
    wait::until("everything is counted", async || {
        let scrape = Scrape::of(&app.api).await;
        scrape.sum("product_service_retries_total", &[]) > 0.0
            && scrape.sum(
                "http_server_request_duration_seconds_count",
                &[("http_route", "")],
            ) > 0.0
    })
    .await;
    app
}

#[tokio::test]
async fn a_client_gets_the_format_it_asks_for() {
    let app = a_busy_app().await;

    let plain = app.api.get("/metrics").await;
    let open = app
        .api
        .call(Method::GET, "/metrics")
        .header("accept", OPEN_METRICS)
        .send()
        .await;

    assert_eq!(
        plain.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        plain
            .text()
            .contains("# TYPE orders_created_total counter\n"),
        "{}",
        plain.text()
    );
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(expected));
    assert!(
        open.text().contains("# TYPE orders_created counter\n"),
        "{}",
        open.text()
    );
    assert!(open.text().ends_with("# EOF\n"), "{}", open.text());
    keep("metrics.txt", &plain.text());
    keep("metrics.openmetrics", &open.text());
}

#[tokio::test]
async fn head_has_no_body() {
    let app = TestApp::start().await;

    let reply = app.api.call(Method::HEAD, "/metrics").send().await;

    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
}

#[tokio::test]
async fn what_clients_make_up_makes_no_new_series() {
    let app = a_busy_app().await;
    let requests = async |kind: &str| {
        for number in 0..20 {
            app.api.get(&format!("/{kind}/{number}")).await;
            app.api
                .get(&format!("/api/users/{kind}-{number}/orders"))
                .await;
            app.api.order_get(&format!("{kind}-{number}")).await;
            let method = Method::from_bytes(format!("{kind}{number}").as_bytes()).unwrap();
            app.api.call(method, "/api/orders").send().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        Scrape::of(&app.api).await
    };
    let first = requests("BREW").await;

    let second = requests("WHISK").await;

    let series = |scrape: &Scrape| {
        let series = scrape
            .samples()
            .iter()
            .map(|sample| (sample.name.clone(), sample.labels.clone()));
        let mut series: Vec<_> = series.collect();
        series
            .retain(|(_, labels)| labels.get("http_route").map(String::as_str) != Some("/metrics"));
        series
    };
    assert_eq!(series(&first), series(&second));
    assert!(!second.text.contains("WHISK"), "{}", second.text);
    let odd = [("http_request_method", "_OTHER")];
    assert_eq!(
        second.sum("http_server_request_duration_seconds_count", &odd),
        40.0
    );
}

#[tokio::test]
async fn without_redis_there_are_gauges_and_requests_succeed() {
    let app = a_busy_app().await;
    app.redis.refuse().await;

    let created = app.an_order_id().await;
    app.api.order_get(&created).await.assert_success(200);
    let down = Scrape::of(&app.api).await;
    app.redis.restore().await;

    assert_eq!(down.sum("dependency_up", &[("dependency", "redis")]), 0.0);
    assert_eq!(
        down.sum("dependency_up", &[("dependency", "database")]),
        1.0
    );
    assert_eq!(
        down.sum("orders", &[("status", "pending")]),
        2.0,
        "{}",
        down.text
    );
    assert!(
        !down.text.contains("orders_created"),
        "unknown is not zero: {}",
        down.text
    );
    wait::until(
        "the counters are back, with what was counted meanwhile",
        async || Scrape::of(&app.api).await.sum("orders_created_total", &[]) == 3.0,
    )
    .await;
}

#[tokio::test]
async fn without_postgres_there_are_counters() {
    let app = a_busy_app().await;
    app.postgres.refuse().await;

    let down = Scrape::of(&app.api).await;
    app.postgres.restore().await;

    assert_eq!(
        down.sum("dependency_up", &[("dependency", "database")]),
        0.0
    );
    assert_eq!(down.sum("orders_created_total", &[]), 2.0, "{}", down.text);
    assert!(
        !down.text.contains("orders_total_mismatch"),
        "{}",
        down.text
    );
}

#[tokio::test]
async fn gauges_are_read_from_the_database() {
    let app = TestApp::start().await;
    for status in ["pending", "confirmed", "confirmed", "cancelled"] {
        let id = app.an_order_id().await;
        if status != "pending" {
            app.api
                .order_set_status(&id, status)
                .await
                .assert_success(200);
        }
    }
    let older =
        "update orders set created_at = created_at - interval '1 hour' where status = 'pending'";
    app.database.db_execute(older).await;

    let scrape = Scrape::of(&app.api).await;

    let orders = |status| scrape.sum("orders", &[("status", status)]);
    let counts = ["pending", "confirmed", "shipped", "delivered", "cancelled"].map(orders);
    assert_eq!(counts, [1.0, 2.0, 0.0, 0.0, 1.0]);
    let age_s = scrape.sum("orders_oldest_pending_age_seconds", &[]);
    assert!((3600.0..3660.0).contains(&age_s), "{age_s}");
    assert_eq!(scrape.sum("orders_total_mismatch", &[]), 0.0);
    let connections = scrape.sum("database_connections", &[]);
    assert!((1.0..=65.0).contains(&connections), "{connections}");
}

#[tokio::test]
async fn without_pending_orders_the_oldest_is_0_seconds_old() {
    let app = TestApp::start().await;

    let scrape = Scrape::of(&app.api).await;

    assert!(
        scrape
            .text
            .contains("orders_oldest_pending_age_seconds 0\n"),
        "{}",
        scrape.text
    );
}

#[tokio::test]
async fn an_order_whose_total_is_wrong_is_seen() {
    let app = TestApp::start().await;
    app.an_order().await;
    app.an_order().await;
    // What no statement of the service can do: constraints and triggers are off.
    let spoil = "set session_replication_role = replica; \
                 update orders set total_amount = total_amount + 1 \
                 where id = (select id from orders order by id limit 1); \
                 set session_replication_role = origin";
    app.database.db_execute(spoil).await;

    let scrape = Scrape::of(&app.api).await;

    assert_eq!(
        scrape.sum("orders_total_mismatch", &[]),
        1.0,
        "{}",
        scrape.text
    );
}

#[tokio::test]
async fn a_total_that_differs_from_a_count_is_seen() {
    let app = TestApp::start().await;
    app.an_order().await;
    app.an_order().await;
    let before = Scrape::of(&app.api).await;
    let spoil = "update user_order_counts set count = count + 1 where status = 'pending'";
    app.database.db_execute(spoil).await;

    let after = Scrape::of(&app.api).await;

    assert_eq!(before.sum("orders_count_mismatch", &[]), 0.0);
    assert_eq!(after.sum("orders_count_mismatch", &[]), 1.0);
}

#[tokio::test]
async fn the_lag_of_the_feed_is_the_age_of_what_an_open_transaction_holds_back() {
    let app = TestApp::start().await;
    app.an_order().await;
    // Transactions of other tests hold the feed back too.
    until_lag_is_0(&app).await;
    let open = Database::connect_to(&app.database.name).await;
    let begin = "begin; select pg_current_xact_id()";
    open.batch_execute(begin).await.unwrap();
    app.an_order().await;
    let older = "update order_events set created_at = created_at - interval '90 seconds'";
    app.database.db_execute(older).await;

    let lag_s = feed_lag_s(&app).await;
    assert!((90.0..150.0).contains(&lag_s), "{lag_s}");
    open.batch_execute("commit").await.unwrap();
    until_lag_is_0(&app).await;
}

async fn feed_lag_s(app: &TestApp) -> f64 {
    let scrape = Scrape::of(&app.api).await;
    scrape.sum("orders_feed_lag_seconds", &[])
}

async fn until_lag_is_0(app: &TestApp) {
    wait::until("nothing is held back", async || {
        feed_lag_s(app).await == 0.0
    })
    .await;
}

#[tokio::test]
async fn the_archive_is_as_old_as_its_last_run() {
    let app = TestApp::start().await;
    let before = Scrape::of(&app.api).await;
    app.database
        .db_execute("call orders_archive('2020-01-01')")
        .await;
    let older = "update order_archive set ended_at = ended_at - interval '2 hours'";
    app.database.db_execute(older).await;

    let after = Scrape::of(&app.api).await;

    assert_eq!(before.sum("orders_archive_age_seconds", &[]), 0.0);
    let age_s = after.sum("orders_archive_age_seconds", &[]);
    assert!((7200.0..7260.0).contains(&age_s), "{age_s}");
}
