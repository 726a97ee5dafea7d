//! `GET /ready`.

use std::time::Duration;

use order_service_tests::TestApp;
use order_service_tests::scrape::Scrape;
use sample_products::server::Server;
use sample_products::{Catalogue, Reply};

#[tokio::test]
async fn a_service_with_all_its_dependencies_is_ready() {
    let app = TestApp::start().await;

    let reply = app.api.ready().await.success(200);

    assert!(!reply.text().contains("degraded"), "{}", reply.text());
    let text = reply.text().to_lowercase();
    for dependency in ["database", "cache", "products"] {
        assert!(text.contains(dependency), "{dependency} in {text}");
    }
    assert!(text.contains("latency"), "{text}");
}

#[tokio::test]
async fn without_redis_it_is_ready_but_degraded() {
    let app = TestApp::start().await;
    app.redis.refuse().await;

    let down = app.api.ready().await.success(200);
    app.redis.restore().await;

    assert!(down.text().contains("degraded"), "{}", down.text());
    until_ready(&app).await;
}

#[tokio::test]
async fn with_a_redis_that_hangs_it_is_degraded_within_its_second() {
    let app = TestApp::start().await;
    app.redis.hang().await;

    let reply = app.api.ready().await.success(200);

    assert!(reply.text().contains("degraded"), "{}", reply.text());
    assert!(
        reply.elapsed < Duration::from_secs(3),
        "{:?}",
        reply.elapsed
    );
}

#[tokio::test]
async fn without_the_product_service_it_is_ready_but_degraded() {
    let app = TestApp::start().await;
    app.products.stop();

    let reply = app.api.ready().await.success(200);

    assert!(reply.text().contains("degraded"), "{}", reply.text());
}

#[tokio::test]
async fn without_postgres_it_is_not_ready() {
    let app = TestApp::start().await;
    app.postgres.refuse().await;

    let reply = app.api.ready().await;
    app.postgres.restore().await;

    assert_eq!(reply.status, 503, "{}", reply.text());
    reply.assert_error(503, &reply.code());
    until_ready(&app).await;
}

#[tokio::test]
async fn with_a_postgres_that_hangs_it_is_not_ready_after_a_second() {
    let app = TestApp::start().await;
    app.postgres.hang().await;

    let reply = app.api.ready().await;
    app.postgres.restore().await;

    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(
        reply.elapsed < Duration::from_secs(3),
        "{:?}",
        reply.elapsed
    );
    until_ready(&app).await;
}

#[tokio::test]
async fn without_the_migrations_it_is_not_ready() {
    let app = TestApp::builder().empty_database().start().await;

    let reply = app.api.ready().await;

    assert_eq!(reply.status, 503, "{}", reply.text());
    reply.assert_error(503, &reply.code());
}

#[tokio::test]
async fn without_the_newest_migration_it_is_not_ready() {
    let app = TestApp::start().await;
    let newest = order_service_tests::migrations::all().pop().unwrap();
    newest.revert(app.database.client()).await.unwrap();

    let reply = app.api.ready().await;

    assert_eq!(reply.status, 503, "{}", reply.text());
}

#[tokio::test]
async fn a_product_service_is_up_when_its_health_check_succeeds_or_is_not_there() {
    let app = TestApp::builder()
        .variable("product_health_path", "/healthz/")
        .start()
        .await;
    let statuses = [
        (200, "up"),
        (204, "up"),
        (404, "up"),
        (301, "down"),
        (400, "down"),
        (401, "down"),
        (403, "down"),
        (429, "down"),
        (500, "down"),
        (503, "down"),
    ];

    for (status, state) in statuses {
        let answer = match status {
            301 => Reply::redirect(301, "/elsewhere"),
            _ => Reply::status(status),
        };
        app.products.set_path("/healthz/", answer);

        let ready = app.api.ready().await.success(200).data();

        assert_eq!(ready["products"]["status"], status, "{ready}");
        assert_eq!(ready["products"]["state"], state, "{ready}");
        assert_eq!(ready["products"]["breaker"], "closed", "{ready}");
        if state == "down" {
            assert_eq!(ready["state"], "degraded", "{ready}");
        }
    }
    let scrape = Scrape::of(&app.api).await;
    assert_eq!(scrape.sum("product_service_probes_total", &[]), 10.0);
    assert_eq!(scrape.sum("product_service_probes_failed_total", &[]), 7.0);
}

#[tokio::test]
async fn a_product_service_that_refuses_our_host_is_down() {
    let catalogue = Catalogue::sample().router_for("products.example");
    let catalogue = Server::start(catalogue, ([127, 0, 0, 1], 0).into());
    let catalogue = catalogue.await.unwrap();
    let url = format!("http://{}", catalogue.address());
    let builder = TestApp::builder().variable("product_service_url", url);
    let app = builder.start().await;

    let ready = app.api.ready().await.success(200).data();

    assert_eq!(ready["state"], "degraded");
    assert_eq!(ready["products"]["state"], "down");
    assert_eq!(ready["products"]["status"], 400);
}

#[tokio::test]
async fn without_an_answer_of_the_product_service_there_is_no_status() {
    let app = TestApp::start().await;
    app.products.set_path("/health", Reply::hang());

    let reply = app.api.ready().await.success(200);

    let products = reply.data()["products"].clone();
    assert_eq!(products["state"], "down");
    assert!(
        products.get("status").is_some_and(|it| it.is_null()),
        "{products}"
    );
    assert!(
        reply.elapsed < Duration::from_secs(3),
        "{:?}",
        reply.elapsed
    );
}

async fn until_ready(app: &TestApp) {
    order_service_tests::wait::until("the service is ready again", async || {
        let reply = app.api.ready().await;
        reply.status == 200 && !reply.text().contains("degraded")
    })
    .await;
}
