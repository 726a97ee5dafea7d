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
const WARM_UP_ROUNDS: usize = 50;

/// A service with so many orders.
struct Side {
    app: TestApp,
    orders: u64,
    /// Cursors of places that lie between a quarter and three quarters down the list.
    cursors: Vec<String>,
}

/// What is asked for, and the path of one such request; the number makes each a different one.
type Kind = (&'static str, fn(&Side, usize) -> String);

const KINDS: [Kind; 5] = [
    ("first page", |_, _| "/api/orders".to_owned()),
    ("total", |_, _| "/api/orders?page_size=1".to_owned()),
    ("a user's history", |_, number| {
        format!("/api/users/user{}/orders", number * 37 % 1000)
    }),
    ("orders of one status", |_, _| {
        "/api/orders?status=pending".to_owned()
    }),
    ("page deep inside", |side, number| {
        let cursor = &side.cursors[number * 7 % side.cursors.len()];
        format!("/api/orders?cursor={cursor}")
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
         where n between {orders} / 4 and {orders} / 4 * 3 and n % ({orders} / 200) = 0"
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

/// The value below which so many per cent of all are.
fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1000.0
}

/// The times of one kind of request, for each side, shortest first.
async fn measure(kind: Kind, sides: &[Side; 2]) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..WARM_UP_ROUNDS + ROUNDS {
        // Neither side always comes second.
        for turn in [round % 2, (round + 1) % 2] {
            let side = &sides[turn];
            let time = side.measure(&kind.1(side, round)).await;
            if round >= WARM_UP_ROUNDS {
                times[turn].push(time);
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    times
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
        let [few, many] = measure(kind, &sides).await;
        let ratio = percentile_ms(&many, 50) / percentile_ms(&few, 50);
        let _ = write!(report, "{:22}", kind.0);
        for times in [&few, &many] {
            let (p50, p95) = (percentile_ms(times, 50), percentile_ms(times, 95));
            let _ = write!(report, " {p50:7.2} {p95:7.2}     ");
        }
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
