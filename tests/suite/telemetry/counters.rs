//! Counters at `/metrics` equal what the clients have counted, whatever instances and replicas
//! come and go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use order_service_tests::bodies::{line, order_of, order_with_lines};
use order_service_tests::host::Host;
use order_service_tests::scrape::Scrape;
use order_service_tests::{Client, Reply, TestApp, wait};
use reqwest::Method;
use sample_products::Reply as Product;

const CLIENTS: usize = 16;
const ROUNDS: usize = 5;
/// Requests that one client sends in one round.
const PER_ROUND: usize = 125;
/// An instance without requests is dropped after a second.
const IDLE: Duration = Duration::from_millis(1_300);

const DURATIONS: &str = "http_server_request_duration_seconds_count";

/// What one client has seen: requests by method, route and status.
#[derive(Debug, Default, PartialEq)]
struct Seen(BTreeMap<(&'static str, &'static str, u16), usize>);

impl Seen {
    fn count(&mut self, method: &'static str, route: &'static str, reply: &Reply) {
        *self.0.entry((method, route, reply.status)).or_default() += 1;
    }

    fn of(&self, method: &str, route: &str, status: u16) -> usize {
        let matching = self
            .0
            .iter()
            .filter(|((m, r, s), _)| (*m, *r, *s) == (method, route, status));
        matching.map(|(_, count)| count).sum()
    }

    fn add(&mut self, other: Self) {
        for (key, count) in other.0 {
            *self.0.entry(key).or_default() += count;
        }
    }

    fn total(&self) -> usize {
        self.0.values().sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_10_000_requests_to_two_hosts_the_counters_are_what_the_clients_counted() {
    let app = TestApp::builder().as_process().start().await;
    let other_host = app.another_host().await;
    let other = Client::new(other_host.url());
    app.products
        .set("flaky", vec![Product::status(500), Product::priced("1.00")]);
    let base = totals(&settled(&app.api, 0).await);

    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        // Every instance of the round before is gone, with whatever it still had to count.
        tokio::time::sleep(IDLE).await;
        let clients = (0..CLIENTS).map(|number| {
            let api = if number % 2 == 0 { &app.api } else { &other };
            mixed_requests(api, round)
        });
        for client in join_all(clients).await {
            seen.add(client);
        }
    }

    assert_eq!(seen.total(), ROUNDS * CLIENTS * PER_ROUND, "{seen:?}");
    let scrape = settled(&other, base + seen.total()).await;
    let off: Vec<String> = seen
        .0
        .iter()
        .filter_map(|((method, route, status), count)| {
            let status = status.to_string();
            let labels = [
                ("http_request_method", *method),
                ("http_route", *route),
                ("http_response_status_code", &status),
            ];
            let counted = scrape.sum(DURATIONS, &labels) as usize;
            // The harness itself has asked for the health of each host.
            let is_off = counted != *count && (*route != "/health" || counted < *count);
            is_off.then(|| format!("{labels:?}: {counted} counted, {count} seen"))
        })
        .collect();
    assert_eq!(off, [""; 0]);
    assert_counted_by_effect(&app, &seen, &scrape).await;
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

/// One client's requests of one round, one after the other.
async fn mixed_requests(api: &Client, round: usize) -> Seen {
    let mut seen = Seen::default();
    let nobody = "018f0000-0000-7000-8000-000000000000";
    let mut id = nobody.to_owned();
    for number in 0..PER_ROUND {
        match number % 25 {
            0 => {
                let body = match (round, number) {
                    (0, 0) => order_with_lines(vec![line("flaky", 1)]),
                    _ => order_of(&["p1"]),
                };
                let reply = api.order_create(&body).await;
                seen.count("POST", "/api/orders", &reply);
                id = reply.data()["id"].as_str().unwrap_or(nobody).to_owned();
            }
            1 => seen.count(
                "POST",
                "/api/orders",
                &api.order_create(&order_of(&["p0"])).await,
            ),
            2 => seen.count("GET", "/api/orders/{id}", &api.order_get(nobody).await),
            3 => seen.count(
                "GET",
                "",
                &api.get(&format!("/nothing/{round}/{number}")).await,
            ),
            4 => seen.count(
                "DELETE",
                "/api/orders",
                &api.call(Method::DELETE, "/api/orders").send().await,
            ),
            5 => seen.count("GET", "/api/orders", &api.order_list("page_size=1").await),
            6 => seen.count(
                "GET",
                "/api/users/{user_id}/orders",
                &api.user_orders("u", "page_size=1").await,
            ),
            7 => seen.count("GET", "/health", &api.health().await),
            23 if number < 100 => {
                let reply = api.order_set_status(&id, "confirmed").await;
                seen.count("PATCH", "/api/orders/{id}/status", &reply);
            }
            23 => seen.count(
                "POST",
                "/api/orders/{id}/cancel",
                &api.order_cancel(&id).await,
            ),
            _ => seen.count("GET", "/api/orders/{id}", &api.order_get(&id).await),
        }
    }
    seen
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
async fn a_killed_host_takes_no_more_counts_along_than_its_instances_had_not_sent() {
    let app = TestApp::start().await;
    let victim = Host::start(&app.variables, true).await;
    let api = Client::new(victim.url());
    let answered = AtomicUsize::new(0);
    let clients = (0..CLIENTS).map(async |_| {
        while let Ok(reply) = api.call(Method::GET, "/api/orders").try_send().await {
            assert_eq!(reply.status, 200, "{}", reply.text());
            answered.fetch_add(1, Ordering::Relaxed);
        }
    });
    let kill = async {
        while answered.load(Ordering::Relaxed) < 500 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Ends its process at once.
        drop(victim);
    };
    tokio::join!(join_all(clients), kill);
    let answered = answered.into_inner();

    let scrape = settled(&app.api, 0).await;
    let counted = scrape.sum(DURATIONS, &[("http_route", "/api/orders")]) as usize;
    println!("{answered} answered, {counted} counted");
    assert!(counted <= answered + CLIENTS, "{counted} of {answered}");
    assert!(
        counted + LOST_AT_A_KILL >= answered,
        "{counted} of {answered}"
    );
}

/// Those in flight, and as many again that were answered just before.
const LOST_AT_A_KILL: usize = 2 * CLIENTS;

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
