//! How often a caller may call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use order_service_tests::scrape::Scrape;
use order_service_tests::tokens::Signer;
use order_service_tests::{Builder, Client, Reply, TestApp, wait};
use reqwest::Method;

use super::{client, trusting, user};

fn limited(per_s: u32, burst: u32) -> Builder {
    TestApp::builder()
        .variable("rate_limit_per_s", per_s)
        .variable("rate_limit_burst", burst)
}

async fn list(api: &Client) -> Reply {
    api.user_orders("ann", "").await
}

#[tokio::test]
async fn over_the_limit_is_a_429_that_says_when_to_come_back() {
    let app = limited(1, 2).start().await;

    let first = list(&app.api).await.success(200);
    let second = list(&app.api).await.success(200);
    let third = list(&app.api).await;

    for (reply, left) in [(&first, 1), (&second, 0)] {
        assert_eq!(
            reply.header("ratelimit-policy"),
            Some("\"requests\";q=2;w=2")
        );
        let standing = reply.header("ratelimit").unwrap();
        assert!(
            standing.starts_with(&format!("\"requests\";r={left};t=")),
            "{standing}"
        );
    }
    third.assert_error(429, "rate_limited");
    assert_eq!(third.header("retry-after"), Some("1"));
    assert_eq!(third.header("ratelimit"), Some("\"requests\";r=0;t=1"));
    assert_eq!(
        third.header("ratelimit-policy"),
        Some("\"requests\";q=2;w=2")
    );
    wait::until("the next request has come", async || {
        list(&app.api).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn without_a_limit_nothing_tells_of_one() {
    let app = TestApp::start().await;

    let reply = list(&app.api).await.success(200);

    assert_eq!(reply.header("ratelimit"), None);
    assert_eq!(reply.header("ratelimit-policy"), None);
}

#[tokio::test]
async fn health_and_readiness_are_never_limited() {
    let app = limited(1, 1).start().await;
    list(&app.api).await.assert_success(200);
    list(&app.api).await.assert_error(429, "rate_limited");

    for _ in 0..5 {
        app.api.health().await.assert_success(200);
        app.api.ready().await.assert_success(200);
    }
    assert_eq!(app.api.get("/metrics").await.status, 429);
}

#[tokio::test]
async fn a_user_has_its_own_limit_and_no_other_users() {
    let signer = Signer::ed25519("a");
    let app = trusting(&signer)
        .variable("rate_limit_per_s", 1)
        .variable("rate_limit_burst", 2)
        .start()
        .await;
    let [ann, bob] = ["ann", "bob"].map(|name| client(&app, &signer, &user(name)));

    for expected in [200, 200, 429] {
        assert_eq!(ann.user_orders("ann", "").await.status, expected);
    }
    assert_eq!(bob.user_orders("bob", "").await.status, 200);
    // Who shows no good token is limited by its address, before it hears that it is unknown.
    let stranger = app.api.with_token("a.b.c");
    for expected in [401, 401, 429] {
        assert_eq!(stranger.user_orders("ann", "").await.status, expected);
    }
    assert_eq!(bob.user_orders("bob", "").await.status, 200);
}

#[tokio::test]
async fn an_address_is_the_one_that_the_trusted_gateway_tells() {
    let app = limited(1, 1)
        .variable("client_address_header", "X-Forwarded-For")
        .start()
        .await;
    let from = async |forwarded: &str| {
        let call = app.api.call(Method::GET, "/api/users/ann/orders");
        call.header("x-forwarded-for", forwarded)
            .send()
            .await
            .status
    };

    assert_eq!(from("203.0.113.1").await, 200);
    assert_eq!(from("203.0.113.2").await, 200);
    assert_eq!(from("203.0.113.1").await, 429);
    // What stands before the gateway's own word comes from the client.
    assert_eq!(from("198.51.100.7, 203.0.113.2").await, 429);
}

#[tokio::test]
async fn a_header_that_nobody_trusts_changes_no_address() {
    let app = limited(1, 1).start().await;

    let mut statuses = Vec::new();
    for n in 1..=3 {
        let call = app.api.call(Method::GET, "/api/users/ann/orders");
        let call = call.header("x-forwarded-for", &format!("203.0.113.{n}"));
        let call = call.header("spin-client-addr", &format!("203.0.113.{n}:80"));
        statuses.push(call.send().await.status);
    }

    assert_eq!(statuses[1..], [429, 429]);
}

#[tokio::test]
async fn without_redis_requests_pass_and_are_counted() {
    let app = limited(1, 1).start().await;
    app.redis.refuse().await;

    for _ in 0..5 {
        list(&app.api).await.assert_success(200);
    }
    app.redis.restore().await;

    wait::until("they are counted", async || {
        let scrape = Scrape::parse(app.api.get("/metrics").await.text());
        scrape.sum("rate_limit_checks_total", &[("result", "unchecked")]) >= 5.0
    })
    .await;
}

#[tokio::test]
async fn a_limit_takes_one_command_of_redis_and_shows_it_no_user_or_address() {
    let signer = Signer::ed25519("a");
    let app = trusting(&signer)
        .variable("rate_limit_per_s", 1000)
        .start()
        .await;
    let ann = client(&app, &signer, &user("Marked-User"));
    ann.user_orders("Marked-User", "").await.assert_success(200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    app.redis.forget();

    ann.user_orders("Marked-User", "").await.assert_success(200);

    let seen = app.redis.seen();
    let buckets: Vec<_> = seen
        .iter()
        .filter(|it| it.contains("limit:user:"))
        .collect();
    assert_eq!(buckets.len(), 1, "{seen:#?}");
    for command in &seen {
        assert!(
            !command.contains("Marked-User") && !command.contains("127.0.0.1"),
            "{command}"
        );
    }
}

/// Requests that were let through by two replicas, from many clients, in this time.
async fn let_through(apis: &[Client], time: Duration) -> (u32, Duration) {
    let passed = Arc::new(AtomicU32::new(0));
    let began = Instant::now();
    let clients = (0..16).map(|n| {
        let (api, passed) = (apis[n % apis.len()].clone(), passed.clone());
        async move {
            while began.elapsed() < time {
                match list(&api).await.status {
                    200 => passed.fetch_add(1, Ordering::Relaxed),
                    429 => 0,
                    other => panic!("{other}"),
                };
            }
        }
    });
    join_all(clients).await;
    (passed.load(Ordering::Relaxed), began.elapsed())
}

#[tokio::test]
async fn replicas_share_a_limit_which_holds() {
    const PER_S: u32 = 50;
    // Nobody is limited while Redis does not answer, as on a machine that stands still for a moment,
    // and what comes in such a moment is lost.
    let mut measured = Vec::new();
    for _ in 0..3 {
        let app = limited(PER_S, PER_S).start().await;
        let second = app.another_host().await;
        let apis = [app.api.clone(), Client::new(second.url())];

        let (passed, time) = let_through(&apis, Duration::from_secs(6)).await;

        let allowed = f64::from(PER_S) * (1.0 + time.as_secs_f64());
        let ratio = f64::from(passed) / allowed;
        if (0.95..1.05).contains(&ratio) {
            return;
        }
        measured.push(format!("{passed} of {allowed} in {time:?}"));
    }
    panic!("{measured:?}");
}
