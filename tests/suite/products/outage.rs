//! An outage of the product service under load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use order_service_tests::bodies::order_of;
use order_service_tests::wait::SLACK;
use order_service_tests::{Client, TestApp};
use sample_products::Reply;

const CLIENTS: usize = 16;
/// Time to find out, before what an open breaker does is measured.
const FINDING_OUT: Duration = Duration::from_secs(3);

/// How often each client creates an order, if it is answered in time.
const PACE: Duration = Duration::from_millis(100);
/// How long a refusal takes at most, in the middle.
const AT_ONCE: Duration = Duration::from_millis(20);

/// How long it may take to notice that it is over: an attempt that still hangs, and the breaker.
const BACK_AFTER: Duration = Duration::from_secs(2);

/// Who else is at work: with the other tests around, the slowest reads say nothing, and a refusal
/// takes as long as any other request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    Shared,
    Quiet,
}

/// What the clients saw.
#[derive(Debug, Default)]
struct Seen {
    /// Creations that failed: when they began, and how long they took.
    failed: Vec<(Instant, Duration)>,
    created: Vec<Instant>,
    reads: Vec<Duration>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_outage_under_load_is_short_for_both_sides() {
    survive(Duration::from_secs(6), Reply::status(503), Machine::Shared).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_time_of_hanging_under_load_is_short_for_both_sides() {
    survive(Duration::from_secs(8), Reply::hang(), Machine::Shared).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; run it with `cargo test --workspace --test suite -- --ignored outage`"]
async fn half_a_minute_of_outage_under_load_is_short_for_both_sides() {
    for way in [Reply::status(503), Reply::hang()] {
        survive(Duration::from_secs(30), way, Machine::Quiet).await;
    }
}

async fn survive(outage: Duration, way: Reply, machine: Machine) {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let before = load(&app.api, &id, async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
    })
    .await;

    let mut down_at = Instant::now();
    let mut back_at = Instant::now();
    let during = load(&app.api, &id, async || {
        app.products.set("p1", way.clone());
        down_at = Instant::now();
        tokio::time::sleep(outage).await;
        app.products.set_price("p1", "10.00");
        back_at = Instant::now();
        tokio::time::sleep(Duration::from_secs(3)).await;
    })
    .await;

    let open_from = down_at + FINDING_OUT;
    let while_open = |at: Instant| at > open_from && at < back_at;
    let failed = during.failed.iter().filter(|(at, _)| while_open(*at));
    let mut failed: Vec<Duration> = failed.map(|(_, took)| *took).collect();
    let median = percentile(&mut failed, 50);
    let requests = app.products.log().requests();
    let attempts = requests.iter().filter(|it| while_open(it.began_at)).count();
    let seconds = (back_at - open_from).as_secs_f64();
    let per_second = attempts as f64 / seconds;
    let created = during.created.iter().filter(|at| **at >= back_at).min();
    let back_after = *created.expect("orders succeed again") - back_at;
    let p99_before = percentile(&mut before.reads.clone(), 99);
    let p99_during = percentile(&mut during.reads.clone(), 99);
    let figures = format!(
        "{} failed at once, median {median:?}; {per_second:.1} attempts/s in all; back after \
         {back_after:?}; p99 of reads {p99_before:?}, then {p99_during:?}",
        failed.len()
    );
    println!("{figures}");
    assert!(failed.len() > 100, "{figures}");
    let limit = match machine {
        Machine::Quiet => AT_ONCE,
        Machine::Shared => AT_ONCE.max(percentile(&mut during.reads.clone(), 50) * 3),
    };
    assert!(median < limit, "{figures}");
    let soon = match machine {
        Machine::Quiet => BACK_AFTER,
        Machine::Shared => BACK_AFTER + SLACK,
    };
    assert!(back_after < soon, "{figures}");
    // The host may give each request that is under way an instance of its own.
    assert!(per_second < 2.0 * (CLIENTS + 1) as f64, "{figures}");
    if machine == Machine::Quiet {
        assert!(p99_during < p99_before * 3 / 2, "{figures}");
    }
}

/// Sixteen clients that create and one that reads, until `script` is over.
async fn load(api: &Client, id: &str, script: impl AsyncFnOnce()) -> Seen {
    let over = AtomicBool::new(false);
    let creating = join_all((0..CLIENTS).map(|_| create(api, &over)));
    let reading = read(api, id, &over);
    let script = async {
        script().await;
        over.store(true, Ordering::Relaxed);
    };
    let (created, reads, ()) = futures_util::future::join3(creating, reading, script).await;
    let mut seen = Seen {
        reads,
        ..Seen::default()
    };
    for one in created {
        seen.failed.extend(one.failed);
        seen.created.extend(one.created);
    }
    seen
}

async fn create(api: &Client, over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let order = order_of(&["p1"]);
    while !over.load(Ordering::Relaxed) {
        let began_at = Instant::now();
        let reply = api.order_create(&order).await;
        match reply.status {
            201 => seen.created.push(Instant::now()),
            503 => seen.failed.push((began_at, reply.elapsed)),
            other => panic!("{other}: {}", reply.text()),
        }
        // The same number of requests, whether they fail quickly or not.
        tokio::time::sleep(PACE.saturating_sub(began_at.elapsed())).await;
    }
    seen
}

async fn read(api: &Client, id: &str, over: &AtomicBool) -> Vec<Duration> {
    let mut reads = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let reply = api.order_get(id).await.success(200);
        reads.push(reply.elapsed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    reads
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    let index = (times.len() * percent / 100).min(times.len() - 1);
    times[index]
}
