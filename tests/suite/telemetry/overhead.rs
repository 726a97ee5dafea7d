//! What logs and metrics cost. A measurement for a machine that does nothing else:
//! `make bench-telemetry` runs it on the service as it is and on a build with neither.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use order_service_tests::{Builder, TestApp};

const CONNECTIONS: usize = 16;
/// Each starts all hosts anew: one may happen to lie better in memory than another.
const STARTS: usize = 4;
/// Rounds after each start. The machine's speed changes from one second to the next, so a round is
/// short, and there are many.
const ROUNDS: usize = 32;
/// Cached reads of one round, over all connections at once.
const READS: usize = 1_600;
/// Cached reads of one round, one after the other.
const READS_ALONE: usize = 100;
/// What logs and metrics may make of the processor time of a cached read.
const LIMIT: f64 = 1.10;

/// What has been measured on one build of the service.
#[derive(Default)]
struct Figures {
    /// Processor time of the host for one read, in microseconds, by round.
    cpu_us: Vec<f64>,
    /// How long clients waited that shared the service with others.
    together: Vec<Duration>,
    /// The median of how long a client waited that had the service for itself, by round.
    alone: Vec<Duration>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; make bench-telemetry runs it"]
async fn logs_and_metrics_add_less_than_a_tenth_to_a_cached_read() {
    let silent = std::env::var_os("BENCH_SILENT").expect("the manifest of the silent build");
    let names = ["logs and metrics", "metrics only", "neither"];
    let mut figures = [(); 3].map(|()| Figures::default());

    for _ in 0..STARTS {
        let builder = || TestApp::builder().as_process();
        let hosts = [
            Variant::start(builder()).await,
            Variant::start(builder().variable("log_level", "error")).await,
            Variant::start(builder().manifest(PathBuf::from(&silent))).await,
        ];
        // All of them share each round, in an order that changes.
        for round in 0..ROUNDS {
            for position in 0..hosts.len() {
                let turn = (round + position) % hosts.len();
                hosts[turn].measure(&mut figures[turn]).await;
            }
        }
    }

    println!(
        "{:<18} {:>8} {:>8} {:>13} {:>12}",
        "", "CPU us", "p50 us", "alone: p50 us", "of rounds us"
    );
    for (name, figures) in names.iter().zip(&figures) {
        let [low, middle, high] = quartiles(&figures.alone).map(|time| time.as_micros());
        println!(
            "{name:<18} {:>8.1} {:>8} {middle:>13} {:>12}",
            quiet_mean(&figures.cpu_us),
            median(&figures.together).as_micros(),
            format!("{low}-{high}"),
        );
    }
    let [with, _, without] = &figures;
    let ratio = quiet_mean(&with.cpu_us) / quiet_mean(&without.cpu_us);
    println!(
        "logs and metrics: {:+.1} % CPU per cached read",
        (ratio - 1.0) * 100.0
    );
    assert!(
        ratio < LIMIT,
        "{ratio:.3} times the CPU of a read with neither"
    );
    // What a client sees differs less than one round from another.
    let [_, _, high] = quartiles(&without.alone);
    let alone = median(&with.alone);
    assert!(
        alone <= high,
        "a client alone waits {alone:?}, not {high:?}"
    );
}

/// One build of the service, running.
struct Variant {
    app: TestApp,
    order_id: String,
}

impl Variant {
    async fn start(builder: Builder) -> Self {
        let app = builder.start().await;
        let order_id = app.an_order_id().await;
        app.until_cached(&order_id).await;
        let variant = Self { app, order_id };
        variant.reads(CONNECTIONS, READS).await;
        variant
    }

    /// One round.
    async fn measure(&self, figures: &mut Figures) {
        // The entry may have expired, and the instances have been dropped.
        self.reads(CONNECTIONS, CONNECTIONS * 4).await;
        let before = self.cpu_time();
        let mut together = self.reads(CONNECTIONS, READS).await;
        // What follows the last responses belongs to them.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let cpu = self.cpu_time() - before;
        let alone = median(&self.reads(1, READS_ALONE).await);
        figures.cpu_us.push(cpu.as_secs_f64() * 1e6 / READS as f64);
        figures.together.append(&mut together);
        figures.alone.push(alone);
    }

    fn cpu_time(&self) -> Duration {
        let process = self.app.host.process();
        process.expect("a process of its own").cpu_time()
    }

    /// How long each of so many reads took, over so many connections at once.
    async fn reads(&self, connections: usize, count: usize) -> Vec<Duration> {
        let clients = (0..connections).map(async |_| {
            let mut times = Vec::with_capacity(count / connections);
            for _ in 0..count / connections {
                let began_at = Instant::now();
                let reply = self.app.api.order_get(&self.order_id).await;
                times.push(began_at.elapsed());
                assert_eq!(reply.status, 200, "{}", reply.text());
            }
            times
        });
        join_all(clients).await.concat()
    }
}

fn median(times: &[Duration]) -> Duration {
    let [_, median, _] = quartiles(times);
    median
}

fn quartiles(times: &[Duration]) -> [Duration; 3] {
    let mut times = times.to_vec();
    times.sort_unstable();
    [1, 2, 3].map(|quarter| times[times.len() * quarter / 4])
}

/// The mean of the lower half: whatever else the machine does only ever adds to a figure.
fn quiet_mean(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures.truncate(figures.len().div_ceil(2));
    figures.iter().sum::<f64>() / figures.len() as f64
}
