//! What each request may cost: the calls on the wire are those of the table in docs/performance.md.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use order_service::routes::ROUTES;
use order_service_tests::environment::repository;
use order_service_tests::{TestApp, wait};

use crate::routes::call;

/// Calls to the product service, to Redis, to Postgres, and those to Redis that fill the cache.
type Calls = [usize; 4];

/// By then whatever a request has left to do is done.
const SETTLED: Duration = Duration::from_millis(400);

/// The budget of each kind of request, as the documentation says.
fn budget() -> BTreeMap<String, Calls> {
    let text = std::fs::read_to_string(repository().join("docs/performance.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').map(str::trim).skip(1).collect::<Vec<_>>());
    cells
        .map(|cells| {
            let number = |column: usize| cells[column].parse().unwrap();
            let request = cells[0].replace('`', "");
            (request, [number(1), number(2), number(3), number(4)])
        })
        .collect()
}

/// What the service has asked for since the last time.
fn calls(app: &TestApp, products_before: usize) -> Calls {
    let counters = app.redis_key("metrics");
    let stage = app.redis_key("order-stage");
    let commands = app.redis.seen();
    // Counters leave for many requests together, whenever it is time.
    let is_extra = |command: &&String| {
        // An instance asks once whether the log has been warned, and for the cache's epoch.
        command.contains("warned:")
            || command.contains("order-epoch") && command.starts_with("SET")
            || command.contains(&counters) && command.starts_with("EVAL")
    };
    let commands: Vec<_> = commands.iter().filter(|it| !is_extra(it)).collect();
    let fills = commands.iter().filter(|it| it.contains(&stage)).count();
    [
        app.products.log().len() - products_before,
        commands.len() - fills,
        app.postgres.seen().len(),
        fills,
    ]
}

#[tokio::test]
async fn each_request_makes_the_calls_of_its_budget() {
    let app = TestApp::start().await;
    let budget = budget();
    let routes: BTreeSet<String> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let cached = "GET /api/orders/{id}, cached";
    let budgeted: BTreeSet<String> = budget.keys().filter(|it| *it != cached).cloned().collect();
    assert_eq!(budgeted, routes, "each route has a budget");

    for (request, budget) in &budget {
        let route = request.trim_end_matches(", cached");
        let id = app.an_order_id().await;
        if request == cached {
            app.until_cached(&id).await;
        }
        tokio::time::sleep(SETTLED).await;
        app.postgres.forget();
        app.redis.forget();
        let products_before = app.products.log().len();

        let (status, reply) = call(&app.api, route, &id).await.unwrap();
        assert_eq!(reply.status, status, "{request}: {}", reply.text());
        tokio::time::sleep(SETTLED).await;

        assert_eq!(
            &calls(&app, products_before),
            budget,
            "[products, Redis, Postgres, filling] of {request}: {:#?} {:#?}",
            app.redis.seen(),
            app.postgres.seen()
        );
    }
}

#[tokio::test]
async fn orders_that_are_read_at_the_same_time_are_cached_together() {
    let app = TestApp::start().await;

    // They must happen to be read by the same instance.
    wait::until("one script has cached several orders", async || {
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.push(app.an_order_id().await);
        }
        app.redis.forget();
        let reads = ids.iter().map(|id| app.api.order_get(id));
        for reply in join_all(reads).await {
            reply.assert_success(200);
        }
        for id in &ids {
            wait::until("it is cached", async || app.is_cached(id).await).await;
        }
        let key = app.redis_key("order:");
        let commands = app.redis.seen();
        commands.iter().any(|it| it.matches(&key).count() > 1)
    })
    .await;
}
