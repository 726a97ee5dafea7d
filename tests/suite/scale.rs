//! `make bench-scale`: lists are as quick with a million orders as with ten thousand.
//!
//! Two services stand side by side, one with few orders and one with many, and are asked by turns,
//! so that whatever else the machine does slows both down alike.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::DateTime;
use order_service::domain::cursor::Position;
use order_service_tests::TestApp;
use order_service_tests::client::encode;
use order_service_tests::seed::db_seed;

const FEW: u64 = 10_000;
const MANY: u64 = 1_000_000;

/// Orders seeded by one statement; a single one for all would need a lot of memory.
const STEP: u64 = 100_000;

/// How many times slower the median may be with many orders.
const RATIO_LIMIT: f64 = 1.3;

/// Requests of each kind to each service.
const ROUNDS: usize = 400;

/// So many users and places in the list take turns. All of them are asked for once before the clock
/// runs: what is compared is the work that a list takes, not how much of it the memory holds.
const VARIANTS: usize = 50;

/// A busy machine may disturb a measurement; what is really slower is so every time.
const ATTEMPTS: usize = 3;

/// A service with so many orders.
struct Side {
    app: TestApp,
    orders: u64,
    /// Cursors of places between a quarter and three quarters down the list.
    cursors: Vec<String>,
}

/// What is asked for, and the path of one such request; the number makes each a different one.
type Kind = (&'static str, fn(&Side, usize) -> String);

const KINDS: [Kind; 5] = [
    ("first page", |_, _| "/api/orders".to_owned()),
    ("total", |_, _| "/api/orders?page_size=1".to_owned()),
    ("a user's history", |_, number| {
        format!("/api/users/user{}/orders", number % VARIANTS * 17)
    }),
    ("orders of one status", |_, _| {
        "/api/orders?status=pending".to_owned()
    }),
    ("page deep inside", |side, number| {
        format!("/api/orders?cursor={}", side.cursors[number % VARIANTS])
    }),
];

impl Side {
    async fn with(orders: u64) -> Self {
        let app = TestApp::start().await;
        for step in 1..=orders.div_ceil(STEP) {
            let so_many = orders.min(step * STEP);
            db_seed(&app.database, so_many).await;
            println!("{so_many} orders seeded");
        }
        app.database.db_execute("vacuum analyze").await;
        app.database.db_execute("checkpoint").await;
        let cursors = db_cursors(&app, orders).await;
        Self {
            app,
            orders,
            cursors,
        }
    }

    async fn measure(&self, path: &str) -> Duration {
        let reply = self.app.api.get(path).await.success(200);
        let page = reply.json();
        let is_whole_list = !path.contains("users") && !path.contains("status");
        assert!(
            !is_whole_list || page["pagination"]["total"] == self.orders,
            "{path}"
        );
        let expected = page["pagination"]["page_size"].as_u64().unwrap_or(0);
        let shown = page["data"].as_array().map_or(0, Vec::len);
        assert_eq!(u64::try_from(shown).ok(), Some(expected), "{path}");
        reply.elapsed
    }
}

/// Cursors as the service would give them to somebody who had walked so far.
async fn db_cursors(app: &TestApp, orders: u64) -> Vec<String> {
    let sql = format!(
        "select id, (extract(epoch from created_at) * 1000000)::bigint
         from (select id, created_at, row_number() over (order by created_at desc, id desc) as n
               from orders) as numbered
         where n > {orders} / 4 and n % ({orders} / 2 / {VARIANTS}) = 0 order by n limit {VARIANTS}"
    );
    let rows = app.database.db_query(&sql, &[]).await;
    let positions = rows.iter().map(|row| Position {
        created_at: DateTime::from_timestamp_micros(row.get(1)).expect("a moment"),
        id: row.get(0),
    });
    positions
        .map(|position| encode(&position.encode("")))
        .collect()
}

/// What was measured of one kind of request: the times with few and with many orders, shortest
/// first.
struct Measured([Vec<Duration>; 2]);

impl Measured {
    /// The time below which so many per cent of all are.
    fn percentile_ms(&self, side: usize, percent: usize) -> f64 {
        let sorted = &self.0[side];
        sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1000.0
    }

    fn ratio(&self) -> f64 {
        self.percentile_ms(1, 50) / self.percentile_ms(0, 50)
    }
}

async fn measure(kind: Kind, sides: &[Side; 2]) -> Measured {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..VARIANTS + ROUNDS {
        // Neither side always comes second.
        for turn in [round % 2, (round + 1) % 2] {
            let side = &sides[turn];
            let time = side.measure(&kind.1(side, round)).await;
            if round >= VARIANTS {
                times[turn].push(time);
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    Measured(times)
}

/// Measures again what seems to be too slow.
async fn measure_carefully(kind: Kind, sides: &[Side; 2]) -> Measured {
    let mut best = measure(kind, sides).await;
    for _ in 1..ATTEMPTS {
        if best.ratio() > RATIO_LIMIT {
            let again = measure(kind, sides).await;
            println!(
                "{}: {:.2}, again {:.2}",
                kind.0,
                best.ratio(),
                again.ratio()
            );
            if again.ratio() < best.ratio() {
                best = again;
            }
        }
    }
    best
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; run it with `make bench-scale`"]
async fn lists_of_a_million_orders_are_as_quick_as_of_ten_thousand() {
    let sides = [Side::with(FEW).await, Side::with(MANY).await];

    let mut report = format!(
        "\n{ROUNDS} requests each, one after the other, in ms\n\
         {:22} {FEW:>8} orders     {MANY:>8} orders       ratio\n\
         {:22} {:>7} {:>7}      {:>7} {:>7}      of p50\n",
        "", "", "p50", "p95", "p50", "p95"
    );
    let mut too_slow = Vec::new();
    for kind in KINDS {
        let measured = measure_carefully(kind, &sides).await;
        let _ = write!(report, "{:22}", kind.0);
        for side in 0..sides.len() {
            let (p50, p95) = (
                measured.percentile_ms(side, 50),
                measured.percentile_ms(side, 95),
            );
            let _ = write!(report, " {p50:7.2} {p95:7.2}     ");
        }
        let ratio = measured.ratio();
        let _ = writeln!(report, " {ratio:6.2}");
        if ratio > RATIO_LIMIT {
            too_slow.push(kind.0);
        }
    }
    println!("{report}");

    assert!(
        too_slow.is_empty(),
        "more than {RATIO_LIMIT} times slower: {too_slow:?}"
    );
}
