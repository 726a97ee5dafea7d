//! The breaker in front of the product service.

use std::time::Duration;

use futures_util::future::{join, join_all};
use order_service_tests::bodies::order_of;
use order_service_tests::scrape::Scrape;
use order_service_tests::{Builder, TestApp, wait};
use sample_products::Reply;

/// Longer than anything else in a test takes.
const LONG_MS: u32 = 60_000;

/// Opens after three failures, and stays open.
fn quick_to_open() -> Builder {
    TestApp::builder()
        .variable("product_attempts", 1)
        .variable("product_breaker_failures", 3)
        .variable("product_breaker_open_ms", LONG_MS)
}

async fn create(app: &TestApp, id: &str) -> order_service_tests::Reply {
    app.api.order_create(&order_of(&[id])).await
}

/// Lets `failing` fail until the breaker is open; how often that took. An instance that had to
/// wait for the machine may have been dropped, with what it had counted.
async fn until_open(app: &TestApp) -> usize {
    for _ in 0..30 {
        let asked = app.products.log().len();
        let reply = create(app, "failing").await;
        reply.assert_error(503, "product_service_unavailable");
        if app.products.log().len() == asked {
            return asked;
        }
    }
    panic!("the breaker does not open");
}

async fn breaker(app: &TestApp) -> String {
    let ready = app.api.ready().await.success(200).data();
    ready["products"]["breaker"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn after_failures_in_a_row_it_answers_at_once_and_says_when_to_come_back() {
    let app = quick_to_open().start().await;
    app.products.set("failing", Reply::status(500));
    let asked = until_open(&app).await;
    assert!(asked >= 3, "{asked}");

    for _ in 0..20 {
        let reply = create(&app, "p1").await;
        reply.assert_error(503, "product_service_unavailable");
        let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((30..=60).contains(&seconds), "{seconds}");
    }

    assert_eq!(app.products.log().requests_for("p1").len(), 0);
    assert_eq!(app.products.log().requests_for("failing").len(), asked);
    assert_eq!(breaker(&app).await, "open");
    let scrape = Scrape::of(&app.api).await;
    assert_eq!(
        scrape.sum("product_service_breaker_openings_total", &[]),
        1.0
    );
    assert_eq!(
        scrape.sum("product_service_short_circuits_total", &[]),
        21.0
    );
    app.db_assert_nothing_stored().await;
}

#[tokio::test]
async fn every_way_to_fail_opens_it() {
    let ways = [
        Reply::status(500),
        Reply::status(503),
        Reply::status(429),
        Reply::hang(),
        Reply::priced("1.00").broken_off(),
    ];
    let apps = ways.map(async |way| {
        let app = quick_to_open()
            .variable("product_timeout_ms", 200)
            .start()
            .await;
        app.products.set("failing", way);
        let asked = until_open(&app).await;
        let reply = create(&app, "p1").await;
        (app, (reply.status, asked >= 3))
    });

    // No service ends before all have begun: its database would be dropped by a call that blocks this
    // thread, and Postgres waits with that for connections that this thread has only half opened.
    for (way, (_app, seen)) in join_all(apps).await.into_iter().enumerate() {
        assert_eq!(seen, (503, true), "way {way}");
    }
}

#[tokio::test]
async fn a_refused_connection_opens_it() {
    let app = quick_to_open().start().await;
    app.products.stop();

    // More than three times only where the machine made an instance wait, see `until_open`.
    wait::until("the breaker is open", async || {
        let reply = create(&app, "p1").await;
        reply.assert_error(503, "product_service_unavailable");
        breaker(&app).await == "open"
    })
    .await;
}

#[tokio::test]
async fn what_a_client_can_provoke_does_not_open_it() {
    let app = quick_to_open().start().await;
    let replies = [
        Reply::status(400),
        Reply::status(404),
        Reply::status(405),
        Reply::status(410),
        Reply::raw(200, "<html>"),
        Reply::priced("free"),
        Reply::priced("1.00").with("id", "p2"),
    ];

    for reply in replies {
        for _ in 0..4 {
            app.products.set("odd", reply.clone());
            let reply = create(&app, "odd").await;
            assert!([422, 502].contains(&reply.status), "{}", reply.text());
        }
    }

    assert_eq!(breaker(&app).await, "closed");
    app.an_order().await;
}

#[tokio::test]
async fn a_success_in_between_keeps_it_closed() {
    let app = quick_to_open().start().await;
    app.products.set("failing", Reply::status(503));

    for _ in 0..4 {
        create(&app, "failing").await;
        create(&app, "failing").await;
        app.an_order().await;
    }
}

#[tokio::test]
async fn many_products_that_fail_once_at_the_same_time_are_one_failure() {
    let app = TestApp::builder()
        .variable("product_breaker_failures", 3)
        .start()
        .await;
    let ids: Vec<String> = (0..20).map(|number| format!("shaky-{number}")).collect();
    for id in &ids {
        let shaky = Reply::status(503).after(Duration::from_millis(100));
        app.products.set(id, [shaky, Reply::priced("1.00")]);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();

    app.api
        .order_create(&order_of(&ids))
        .await
        .assert_success(201);

    assert_eq!(app.products.log().len(), 40);
}

#[tokio::test]
async fn one_probe_at_a_time_closes_it_and_an_order_of_many_products_waits_for_it() {
    let app = quick_to_open()
        .variable("product_timeout_ms", 3000)
        .variable("product_breaker_open_ms", 100)
        .start()
        .await;
    app.products.set("failing", Reply::status(503));
    until_open(&app).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for id in ["a", "b", "c"] {
        app.products
            .set(id, Reply::priced("1.00").after(Duration::from_millis(800)));
    }
    let seen_before = app.products.log().len();

    let many = order_of(&["a", "b", "c"]);
    let others = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let state = breaker(&app).await;
        // One after the other, so that the host has no reason for another instance, which would
        // probe for itself.
        for _ in 0..4 {
            let reply = create(&app, "p1").await;
            reply.assert_error(503, "product_service_unavailable");
        }
        (state, app.products.log().requests_for("p1").len())
    };
    let (probing, (state, asked)) = join(app.api.order_create(&many), others).await;

    assert_eq!(state, "half_open");
    assert_eq!(asked, 0, "only the probe was under way");
    probing.assert_success(201);
    let calls = app.products.log().requests().split_off(seen_before);
    let calls = calls
        .iter()
        .filter(|it| it.product_id.as_deref().is_some_and(|id| id != "p1"));
    assert_eq!(calls.count(), 3);
    assert_eq!(breaker(&app).await, "closed");
    app.an_order().await;
}

#[tokio::test]
async fn a_probe_that_fails_opens_it_again() {
    let app = quick_to_open()
        .variable("product_breaker_open_ms", 300)
        .start()
        .await;
    app.products.set("failing", Reply::status(503));
    until_open(&app).await;

    let asked = app.products.log().len();
    wait::until("one has probed", async || {
        create(&app, "failing").await;
        app.products.log().len() > asked
    })
    .await;

    let asked = app.products.log().len();
    let mut requests = 0;
    wait::until(
        "three more have probed, and others were refused",
        async || {
            create(&app, "failing").await;
            requests += 1;
            let probes = app.products.log().len() - asked;
            probes >= 3 && requests > 2 * probes
        },
    )
    .await;

    // Were it closed by a probe that fails, each opening would take three. Every instance has a
    // breaker of its own, which three failures may have to open first.
    wait::until("most requests that were made have opened it", async || {
        let scrape = Scrape::of(&app.api).await;
        let openings = scrape.sum("product_service_breaker_openings_total", &[]);
        let asked = app.products.log().requests_for("failing").len();
        openings * 2.0 > f64::from(u32::try_from(asked).unwrap())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_hangs_up_neither_fails_nor_blocks_the_probe() {
    let app = quick_to_open()
        .variable("product_breaker_open_ms", 100)
        .variable("product_timeout_ms", 5000)
        .start()
        .await;
    app.products.set("failing", Reply::status(503));
    until_open(&app).await;
    app.products.set("hanging", Reply::hang());
    tokio::time::sleep(Duration::from_millis(200)).await;

    let hanging = order_of(&["hanging"]);
    let gone =
        tokio::time::timeout(Duration::from_millis(300), app.api.order_create(&hanging)).await;

    assert!(gone.is_err(), "it hangs");
    wait::until("somebody else may probe", async || {
        create(&app, "p1").await.status == 201
    })
    .await;
}

#[tokio::test]
async fn an_error_of_one_product_does_not_count_the_others_as_failures() {
    let app = quick_to_open().start().await;
    app.products.set("free", Reply::priced("free"));
    app.products.set("hanging", Reply::hang());

    for _ in 0..5 {
        let reply = app.api.order_create(&order_of(&["hanging", "free"])).await;
        reply.assert_error(502, "invalid_product_reply");
    }

    assert_eq!(breaker(&app).await, "closed");
}

#[tokio::test]
async fn a_replica_that_starts_meanwhile_begins_with_what_others_have_found() {
    let app = quick_to_open().start().await;
    app.products.set("failing", Reply::status(503));
    until_open(&app).await;
    let other = app.another_host().await;
    let other = order_service_tests::Client::new(other.url());

    wait::until("another instance knows", async || {
        let ready = other.ready().await.success(200).data();
        ready["products"]["breaker"] == "open"
    })
    .await;
    let reply = other.order_create(&order_of(&["p1"])).await;

    reply.assert_error(503, "product_service_unavailable");
    assert_eq!(app.products.log().requests_for("p1").len(), 0);
}

#[tokio::test]
async fn a_short_wait_that_is_asked_for_is_waited() {
    let app = TestApp::start().await;
    let busy = Reply::status(429).with_header("retry-after", "1");
    app.products.set("busy", [busy, Reply::priced("1.00")]);

    let reply = create(&app, "busy").await.success(201);

    assert!(
        reply.elapsed >= Duration::from_secs(1),
        "{:?}",
        reply.elapsed
    );
    let requests = app.products.log().requests_for("busy");
    let pause = requests[1].began_at - requests[0].began_at;
    assert!(pause >= Duration::from_millis(990), "{pause:?}");
}

#[tokio::test]
async fn a_long_wait_that_is_asked_for_opens_it_for_as_long() {
    let app = TestApp::start().await;
    let busy = Reply::status(503).with_header("retry-after", "30");
    app.products.set("busy", busy);

    let first = create(&app, "busy").await;
    let second = create(&app, "p1").await;

    for reply in [&first, &second] {
        reply.assert_error(503, "product_service_unavailable");
        let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((28..=30).contains(&seconds), "{seconds}");
        assert!(
            reply.elapsed < Duration::from_secs(1),
            "{:?}",
            reply.elapsed
        );
    }
    assert_eq!(app.products.log().len(), 1);
}
