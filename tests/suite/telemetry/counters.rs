//! Counters at `/metrics` equal what the clients have counted, whatever instances and replicas
//! come and go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use order_service_tests::bodies::{line, order_of, order_with_lines};
use order_service_tests::host::Host;
use order_service_tests::scrape::Scrape;
use order_service_tests::{Call, Client, Reply, TestApp, wait};
use reqwest::Method;
use sample_products::Reply as Product;
use serde_json::json;

const CLIENTS: usize = 16;
const ROUNDS: usize = 5;
/// Requests that one client sends in one round.
const PER_ROUND: usize = 125;
/// How old a count is at most that a killed host takes along: a tenth of a second until it is
/// sent, and some more for its way to Redis on a busy machine.
const UNSENT: Duration = Duration::from_millis(250);
/// An instance without requests is dropped after a second.
const IDLE: Duration = Duration::from_millis(1_300);

const DURATIONS: &str = "http_server_request_duration_seconds_count";

/// Method, route and status of a request.
type Kind = (&'static str, &'static str, u16);

/// What one client has seen: requests by method, route and status.
#[derive(Debug, Default)]
struct Seen {
    answered: BTreeMap<Kind, usize>,
    answered_at: Vec<Instant>,
    unanswered: usize,
}

impl Seen {
    fn count(&mut self, method: &'static str, route: &'static str, reply: &Reply) {
        *self
            .answered
            .entry((method, route, reply.status))
            .or_default() += 1;
        self.answered_at.push(Instant::now());
    }

    fn of(&self, method: &str, route: &str, status: u16) -> usize {
        let matching = self
            .answered
            .iter()
            .filter(|((m, r, s), _)| (*m, *r, *s) == (method, route, status));
        matching.map(|(_, count)| count).sum()
    }

    fn add(&mut self, other: Self) {
        for (key, count) in other.answered {
            *self.answered.entry(key).or_default() += count;
        }
        self.answered_at.extend(other.answered_at);
        self.unanswered += other.unanswered;
    }

    fn total(&self) -> usize {
        self.answered.values().sum()
    }

    /// Every kind of request with how many were seen, and how many were counted between two scrapes.
    fn counted<'a>(
        &'a self,
        before: &'a Scrape,
        after: &'a Scrape,
    ) -> impl Iterator<Item = (Kind, usize, usize)> {
        self.answered.iter().map(|(kind, seen)| {
            let status = kind.2.to_string();
            let labels = [
                ("http_request_method", kind.0),
                ("http_route", kind.1),
                ("http_response_status_code", &status),
            ];
            let counted = after.sum(DURATIONS, &labels) - before.sum(DURATIONS, &labels);
            (*kind, *seen, counted as usize)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_10_000_requests_to_two_hosts_the_counters_are_what_the_clients_counted() {
    // An instance that ends while Redis does not answer takes its counts along, and says so.
    for _ in 0..2 {
        if counted_while_redis_answers(true).await {
            return;
        }
    }
    counted_while_redis_answers(false).await;
}

/// `false` if Redis has not answered all the time, and that `may_be`.
async fn counted_while_redis_answers(may_be: bool) -> bool {
    let app = TestApp::builder().as_process().start().await;
    let other_host = app.another_host().await;
    let other = Client::new(other_host.url());
    app.products
        .set("flaky", vec![Product::status(500), Product::priced("1.00")]);
    let before = settled(&app.api, 0).await;

    let mut seen = Seen::default();
    let answered = AtomicUsize::new(0);
    for round in 0..ROUNDS {
        // Every instance of the round before is gone, with whatever it still had to count.
        tokio::time::sleep(IDLE).await;
        let clients = (0..CLIENTS).map(|number| {
            let api = if number % 2 == 0 { &app.api } else { &other };
            mixed_requests(api, number, round, &answered)
        });
        for client in join_all(clients).await {
            seen.add(client);
        }
    }

    assert_eq!(seen.total(), ROUNDS * CLIENTS * PER_ROUND, "{seen:?}");
    let outputs = [app.host.output(), other_host.output()];
    if may_be && outputs.iter().any(|it| it.contains("wait for Redis")) {
        return false;
    }
    let scrape = settled(&other, totals(&before) + seen.total()).await;
    let off: Vec<_> = seen
        .counted(&before, &scrape)
        .filter(|(_, seen, counted)| counted != seen)
        .collect();
    assert_eq!(off, []);
    assert_counted_by_effect(&app, &seen, &scrape).await;
    true
}

/// The counters that are not of requests.
async fn assert_counted_by_effect(app: &TestApp, seen: &Seen, scrape: &Scrape) {
    let sum = |name, labels: &[(&str, &str)]| scrape.sum(name, labels) as usize;
    let created = seen.of("POST", "/api/orders", 201);
    assert_eq!(sum("orders_created_total", &[]), created);
    assert_eq!(app.db_order_count().await as usize, created);
    let changed = seen.of("PATCH", "/api/orders/{id}/status", 200);
    let to = |from, to| {
        sum(
            "order_status_transitions_total",
            &[("from", from), ("to", to)],
        )
    };
    assert_eq!(to("pending", "confirmed"), changed);
    assert_eq!(
        to("pending", "cancelled"),
        seen.of("POST", "/api/orders/{id}/cancel", 200)
    );
    let reads = seen.of("GET", "/api/orders/{id}", 200) + seen.of("GET", "/api/orders/{id}", 404);
    assert_eq!(sum("order_cache_requests_total", &[]), reads);
    let attempts = sum("product_service_request_duration_seconds_count", &[]);
    assert_eq!(attempts, app.products.log().len());
    let of = |result| {
        sum(
            "product_service_request_duration_seconds_count",
            &[("result", result)],
        )
    };
    assert_eq!(of("not_found"), seen.of("POST", "/api/orders", 422));
    assert_eq!(
        of("unavailable"),
        1,
        "the first request for the flaky product"
    );
    assert_eq!(sum("product_service_retries_total", &[]), 1);
}

/// One client's requests of one round, one after the other, until one has no answer.
async fn mixed_requests(api: &Client, client: usize, round: usize, answered: &AtomicUsize) -> Seen {
    let mut seen = Seen::default();
    let mut id = NOBODY.to_owned();
    for number in 0..PER_ROUND {
        // Each client is at another point.
        let number = (number + client * 8) % PER_ROUND;
        let (method, route, call) = mixed_request(api, round, number, &id);
        let Ok(reply) = call.try_send().await else {
            seen.unanswered = 1;
            break;
        };
        answered.fetch_add(1, Ordering::Relaxed);
        seen.count(method, route, &reply);
        if method == "POST" && reply.status == 201 {
            id = reply.data()["id"].as_str().unwrap_or(NOBODY).to_owned();
        }
    }
    seen
}

const NOBODY: &str = "018f0000-0000-7000-8000-000000000000";

/// A request with its method and route, as they are counted.
fn mixed_request(
    api: &Client,
    round: usize,
    number: usize,
    id: &str,
) -> (&'static str, &'static str, Call) {
    let order = "/api/orders/{id}";
    let get = |route, path: &str| ("GET", route, api.call(Method::GET, path));
    let create = |body| {
        let call = api.call(Method::POST, "/api/orders").json(&body);
        ("POST", "/api/orders", call)
    };
    match number % 25 {
        0 if (round, number) == (0, 0) => create(order_with_lines(vec![line("flaky", 1)])),
        0 => create(order_of(&["p1"])),
        1 => create(order_of(&["p0"])),
        2 => get(order, &format!("/api/orders/{NOBODY}")),
        3 => get("", &format!("/nothing/{round}/{number}")),
        4 => {
            let call = api.call(Method::DELETE, "/api/orders");
            ("DELETE", "/api/orders", call)
        }
        5 => get("/api/orders", "/api/orders?page_size=1"),
        6 => get(
            "/api/users/{user_id}/orders",
            "/api/users/u/orders?page_size=1",
        ),
        7 => get("/health", "/health"),
        23 if number < 100 => {
            let path = format!("/api/orders/{id}/status");
            let body = json!({"status": "confirmed"});
            let call = api.call(Method::PATCH, &path).json(&body);
            ("PATCH", "/api/orders/{id}/status", call)
        }
        23 => {
            let call = api.call(Method::POST, &format!("/api/orders/{id}/cancel"));
            ("POST", "/api/orders/{id}/cancel", call)
        }
        _ => get(order, &format!("/api/orders/{id}")),
    }
}

/// A scrape after all counts have arrived: at least so many requests, beside those for
/// `/metrics`, and no more a moment later.
async fn settled(api: &Client, requests: usize) -> Scrape {
    let last = wait::eventually("all requests are counted", async || {
        let scrape = Scrape::of(api).await;
        (totals(&scrape) >= requests).then_some(scrape)
    });
    drop(last.await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    Scrape::of(api).await
}

fn totals(scrape: &Scrape) -> usize {
    (scrape.sum(DURATIONS, &[]) - scrape.sum(DURATIONS, &[("http_route", "/metrics")])) as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_host_takes_along_the_counts_of_a_tenth_of_a_second() {
    let app = TestApp::builder().as_process().start().await;
    let victim = Host::start(&app.variables, true).await;
    let api = Client::new(victim.url());
    let before = settled(&app.api, 0).await;
    let answered = AtomicUsize::new(0);
    let clients = (0..CLIENTS).map(async |number| {
        let mut seen = Seen::default();
        while seen.unanswered == 0 {
            seen.add(mixed_requests(&api, number, 1, &answered).await);
        }
        seen
    });
    let kill = async {
        while answered.load(Ordering::Relaxed) < CLIENTS * PER_ROUND {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let killed_at = Instant::now();
        // Ends its process at once.
        drop(victim);
        killed_at
    };
    let (of_clients, killed_at) = tokio::join!(join_all(clients), kill);
    let mut seen = Seen::default();
    of_clients.into_iter().for_each(|client| seen.add(client));

    assert_eq!(seen.unanswered, CLIENTS, "{seen:?}");
    let scrape = settled(&app.api, 0).await;
    let counted = totals(&scrape) - totals(&before);
    let (answered, unanswered) = (seen.total(), seen.unanswered);
    let of_late = seen.answered_at.iter();
    let of_late = of_late.filter(|at| killed_at.duration_since(**at) <= UNSENT);
    let of_late = of_late.count();
    println!("{answered} answered, {of_late} of them at last, {counted} counted");
    assert!(of_late < answered, "nothing was answered in time");
    assert!(counted + of_late >= answered, "{counted}\n{}", scrape.text);
    assert!(counted <= answered + unanswered, "{counted}\n{seen:?}");
}

#[tokio::test]
async fn a_hanging_redis_loses_counts_but_never_counts_twice() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    app.redis.hang().await;
    for _ in 0..5 {
        app.api.order_get(&id).await.assert_success(200);
    }
    app.redis.restore().await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.api.order_get(&id).await.assert_success(200);
    }

    let scrape = settled(&app.api, 0).await;

    let counted = scrape.sum(DURATIONS, &[("http_route", "/api/orders/{id}")]);
    assert!(
        (1.0..=10.0).contains(&counted),
        "{counted}\n{}",
        scrape.text
    );
}
