//! A replica that is not there. Real ones are in `tests/replication`.

use order_service_tests::bodies::order_of;
use order_service_tests::scrape::Scrape;
use order_service_tests::{TestApp, wait};

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:9";

async fn with_a_lost_replica() -> TestApp {
    TestApp::builder()
        .variable("database_read_url", format!("postgres://x:x@{NOWHERE}/x"))
        .variable("database_read_host", NOWHERE)
        .start()
        .await
}

async fn counted(app: &TestApp, name: &str, labels: &[(&str, &str)], at_least: f64) {
    wait::until("it is counted", async || {
        let scrape = Scrape::parse(app.api.get("/metrics").await.text());
        scrape.sum(name, labels) >= at_least
    })
    .await;
}

#[tokio::test]
async fn lists_come_from_the_primary_which_is_asked_at_once_after_a_failure() {
    let app = with_a_lost_replica().await;
    let order = app.an_order().await;

    for _ in 0..5 {
        let list = app.api.get("/api/orders").await.success(200);
        assert_eq!(list.data()[0], order);
    }

    let reads = "replica_reads_total";
    counted(&app, reads, &[("result", "failed")], 1.0).await;
    counted(&app, reads, &[("result", "skipped")], 4.0).await;
}

#[tokio::test]
async fn a_write_that_redis_did_not_hear_of_is_counted() {
    let app = with_a_lost_replica().await;
    app.redis.refuse().await;

    let created = app.api.order_create(&order_of(&["p1"])).await;
    created.assert_success(201);
    app.redis.restore().await;

    counted(&app, "replica_writes_unmarked_total", &[], 1.0).await;
}

#[tokio::test]
async fn without_a_replica_neither_a_write_nor_a_list_asks_redis_about_one() {
    let app = TestApp::start().await;
    app.redis.forget();

    let id = app.an_order().await["id"].as_str().unwrap().to_owned();
    app.api.get("/api/orders").await.assert_success(200);
    app.api
        .get(&format!("/api/orders/{id}"))
        .await
        .assert_success(200);

    let seen = app.redis.seen();
    assert!(!seen.is_empty());
    for command in &seen {
        assert!(!command.contains("replica-"), "{command}");
    }
}
