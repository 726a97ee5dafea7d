//! The memory of the host's process under load: that it does not grow from round to round at the
//! same load. At which level it stays is the host's affair (docs/deployment.md, "Sizing").

use futures_util::future::join_all;
use order_service_tests::TestApp;
use order_service_tests::bodies::order_of;
use reqwest::Method;

const CONNECTIONS: usize = 64;
const REQUESTS: usize = 50_000;

/// Growth that is none. A leak of a hundred bytes per request would be more.
const NOISE_KIB: u64 = 4 * 1024;

/// Whenever more instances than ever before happen to be alive at the same time, the pool has to
/// take a MiB for each. That ends, on Spin itself by the sixth look or so; a leak goes on.
const LOOKS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_does_not_grow_from_one_50_000_requests_to_the_next() {
    let app = TestApp::builder().as_process().start().await;
    let id = app.an_order_id().await;
    app.until_cached(&id).await;
    let process = app.host.process().expect("a process of its own");
    load(&app, &id, REQUESTS / 2).await;

    let mut now = process.resident_kib();
    let mut sizes_kib = vec![now];
    for _ in 0..LOOKS {
        let before = now;
        load(&app, &id, REQUESTS).await;
        now = process.resident_kib();
        sizes_kib.push(now);
        if now < before + NOISE_KIB {
            println!("KiB after every {REQUESTS} requests: {sizes_kib:?}");
            return;
        }
    }
    panic!("KiB after every {REQUESTS} requests: {sizes_kib:?}");
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
