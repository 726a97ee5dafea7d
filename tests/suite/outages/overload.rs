//! Postgres gives no answers: what has no hope of one is refused at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use order_service_tests::scrape::Scrape;
use order_service_tests::{Reply, TestApp};
use uuid::Uuid;

/// More than one instance takes at the same time.
const CLIENTS: usize = 24;
const PACE: Duration = Duration::from_millis(20);
const REQUEST_TIMEOUT: Duration = Duration::from_millis(1500);
/// The first requests wait until their deadline, and a busy machine takes its time.
const FINDING_OUT: Duration = Duration::from_secs(3);
const OUTAGE: Duration = Duration::from_secs(7);
/// How soon all is well again.
const RECOVERY: Duration = Duration::from_secs(2);
/// How long a refusal takes, in the middle.
const AT_ONCE: Duration = Duration::from_millis(50);

/// An answer, when it was asked for, and what took how long.
type Seen = Vec<(Instant, Reply)>;

async fn app() -> TestApp {
    TestApp::builder()
        .request_timeout(REQUEST_TIMEOUT)
        .start()
        .await
}

/// Clients that list orders until it is over.
async fn clients(app: &TestApp, is_over: &AtomicBool) -> Seen {
    let clients = (0..CLIENTS).map(async |_| {
        let mut seen = Seen::new();
        while !is_over.load(Ordering::Relaxed) {
            let began_at = Instant::now();
            seen.push((began_at, app.api.order_list("page_size=1").await));
            tokio::time::sleep(PACE).await;
        }
        seen
    });
    join_all(clients).await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_hangs_requests_are_refused_at_once_and_soon_after_they_succeed() {
    let app = app().await;
    let cached = app.an_order_id().await;
    app.api.order_get(&cached).await.assert_success(200);
    app.until_cached(&cached).await;
    let is_over = AtomicBool::new(false);

    let outage = async {
        app.postgres.hang().await;
        let began_at = Instant::now();
        tokio::time::sleep(FINDING_OUT).await;
        let others = [
            app.api.health().await,
            app.api.order_get(&cached).await,
            app.api.get("/metrics").await,
            app.api.ready().await,
        ];
        tokio::time::sleep(OUTAGE.saturating_sub(began_at.elapsed())).await;
        app.postgres.restore().await;
        let ended_at = Instant::now();
        tokio::time::sleep(2 * RECOVERY).await;
        is_over.store(true, Ordering::Relaxed);
        (began_at, ended_at, others)
    };
    let (seen, (began_at, ended_at, others)) = tokio::join!(clients(&app, &is_over), outage);

    let statuses = others.map(|reply| reply.status);
    assert_eq!(
        statuses,
        [200, 200, 200, 503],
        "[health, cached, metrics, ready]"
    );
    let during = seen
        .iter()
        .filter(|(at, _)| *at > began_at + FINDING_OUT && *at < ended_at - REQUEST_TIMEOUT);
    let (refused, tried): (Vec<_>, Vec<_>) = during
        .map(|(_, reply)| reply)
        .partition(|reply| reply.code() == "overloaded");
    println!("{} were refused, {} tried", refused.len(), tried.len());
    // One a second, and not all of them end before the outage does.
    assert!(tried.len() <= OUTAGE.as_secs() as usize, "{}", tried.len());
    assert!(refused.len() > CLIENTS, "{}", refused.len());
    let mut times: Vec<_> = refused.iter().map(|reply| reply.elapsed).collect();
    times.sort_unstable();
    assert!(times[times.len() / 2] < AT_ONCE, "{times:?}");
    for reply in refused {
        reply.assert_error(503, "overloaded");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    for (at, reply) in &seen {
        if *at > ended_at + RECOVERY {
            reply.assert_success(200);
        }
    }
    let scrape = Scrape::of(&app.api).await;
    let counted = scrape.sum("http_server_requests_refused_total", &[]) as usize;
    let all = seen
        .iter()
        .filter(|(_, reply)| reply.code() == "overloaded");
    assert_eq!(counted, all.count(), "{}", scrape.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_answers_nobody_is_refused() {
    let app = app().await;
    let is_over = AtomicBool::new(false);

    let load = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(clients(&app, &is_over), load);

    for (_, reply) in &seen {
        reply.assert_success(200);
    }
    let scrape = Scrape::of(&app.api).await;
    assert_eq!(scrape.sum("http_server_requests_refused_total", &[]), 0.0);
}

#[tokio::test]
async fn one_statement_that_is_too_slow_stops_nobody_for_long() {
    let app = app().await;
    let id = app.an_order_id().await;
    let lock =
        format!("select pg_sleep(4) from (select from orders where id = '{id}' for update) o");

    let (confirmed, ()) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            app.api.order_set_status(&id, "confirmed").await
        },
        app.database.db_execute(&lock),
    );

    confirmed.assert_error(503, "database_unavailable");
    for _ in 0..3 {
        app.api.order_list("").await.assert_success(200);
    }
}

#[tokio::test]
async fn without_redis_requests_wait_until_their_deadline() {
    let app = app().await;
    app.an_order().await;
    app.redis.refuse().await;
    app.postgres.hang().await;

    for _ in 0..2 {
        let reply = app.api.order_get(&Uuid::new_v4().to_string()).await;

        reply.assert_error(503, "database_unavailable");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_refused_at_once_leaves_the_order_in_the_cache() {
    let app = app().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let id = app.an_order_id().await;
        app.until_cached(&id).await;
        ids.push(id);
    }
    let is_over = AtomicBool::new(false);

    let outage = async {
        app.postgres.hang().await;
        tokio::time::sleep(FINDING_OUT).await;
        let mut read = Vec::new();
        for id in &ids {
            // One that may try hides the order: it may have been changed.
            if app.api.order_set_status(id, "confirmed").await.code() == "overloaded" {
                read.push(app.api.order_get(id).await);
            }
        }
        app.postgres.restore().await;
        is_over.store(true, Ordering::Relaxed);
        read
    };
    let (_, read) = tokio::join!(clients(&app, &is_over), outage);

    assert!(!read.is_empty(), "no change was refused at once");
    for reply in read {
        reply.assert_success(200);
    }
}
