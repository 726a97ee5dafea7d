//! The memory of the host's process under load.

use std::time::Instant;

use futures_util::future::join_all;
use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;
use reqwest::Method;

const CONNECTIONS: usize = 64;
const REQUESTS: usize = 50_000;
const LIMIT_KIB: u64 = 200 * 1024;

/// What may come and go between two looks: instances, as many as the machine's load makes it take,
/// and memory that the allocator keeps. A leak of one KiB per request would be more.
const NOISE_KIB: u64 = 48 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_stays_below_200_mb_and_does_not_grow_over_50_000_requests() {
    let app = TestApp::builder().as_process().start().await;
    let id = app.an_order_id().await;
    app.until_cached(&id).await;
    let process = app.host.process().expect("a process of its own");

    load(&app, &id, REQUESTS / 2).await;
    let warm_kib = process.resident_kib();
    let began_at = Instant::now();
    let mut highest_kib = 0;
    for _ in 0..10 {
        load(&app, &id, REQUESTS / 10).await;
        highest_kib = process.resident_kib().max(highest_kib);
    }
    let end_kib = process.resident_kib();

    let elapsed = began_at.elapsed();
    println!("resident: {warm_kib} KiB warm, {highest_kib} KiB highest, {end_kib} KiB at the end");
    println!("{REQUESTS} requests over {CONNECTIONS} connections in {elapsed:.1?}");
    assert!(highest_kib < LIMIT_KIB, "{highest_kib} KiB");
    assert!(
        end_kib < warm_kib + NOISE_KIB,
        "from {warm_kib} to {end_kib} KiB"
    );
}

/// Reads, lookups of nothing and now and then a new order, over all connections at once.
async fn load(app: &TestApp, id: &str, requests: usize) {
    let order = format!("/api/orders/{id}");
    let body = order_of(&["p1"]);
    let clients = (0..CONNECTIONS).map(async |_| {
        for number in 0..requests / CONNECTIONS {
            let call = match number % 20 {
                0 => app.api.call(Method::POST, "/api/orders").json(&body),
                1..=4 => app.api.call(Method::GET, "/health"),
                5 => app.api.call(Method::GET, "/nothing"),
                _ => app.api.call(Method::GET, &order),
            };
            match call.try_send().await {
                Ok(reply) => {
                    assert!([200, 201, 404].contains(&reply.status), "{}", reply.text());
                }
                Err(error) => panic!("no answer: {error:?}\n{}", last_words(app)),
            }
        }
    });
    join_all(clients).await;
}

/// What the host said last, apart from the log lines of requests that went well.
fn last_words(app: &TestApp) -> String {
    let output = app.host.output();
    let lines = output
        .lines()
        .filter(|line| !line.contains(r#""level":"info""#));
    let lines: Vec<&str> = lines.collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
