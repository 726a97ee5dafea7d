//! What logs and metrics cost. A measurement for a machine that does nothing else:
//! `make bench-telemetry` runs it on the component as it is and on one without either.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use order_service_tests::TestApp;

const CONNECTIONS: usize = 16;
const READS: usize = 16_000;
const READS_ALONE: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; make bench-telemetry runs it"]
async fn cached_reads_are_measured() {
    let log_level = std::env::var("BENCH_LOG_LEVEL").unwrap_or_else(|_| "info".to_owned());
    let app = TestApp::builder()
        .as_process()
        .variable("log_level", log_level)
        .start()
        .await;
    let id = app.an_order_id().await;
    app.until_cached(&id).await;
    reads(&app, &id, CONNECTIONS, READS / 4).await;
    let process = app.host.process().expect("a process of its own");

    let before = process.cpu_time();
    let mut together = reads(&app, &id, CONNECTIONS, READS).await;
    // What follows the last responses belongs to them.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cpu = process.cpu_time() - before;
    let mut alone = reads(&app, &id, 1, READS_ALONE).await;

    let cpu_us = cpu.as_secs_f64() * 1e6 / READS as f64;
    let (together, alone) = (median(&mut together), median(&mut alone));
    println!(
        "cpu_us={cpu_us:.1} p50_us={} p50_alone_us={}",
        together.as_micros(),
        alone.as_micros()
    );
}

/// How long each of so many reads took, over so many connections at once.
async fn reads(app: &TestApp, id: &str, connections: usize, count: usize) -> Vec<Duration> {
    let clients = (0..connections).map(async |_| {
        let mut times = Vec::with_capacity(count / connections);
        for _ in 0..count / connections {
            let began_at = Instant::now();
            let reply = app.api.order_get(id).await;
            times.push(began_at.elapsed());
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        times
    });
    join_all(clients).await.concat()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
