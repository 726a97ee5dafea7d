//! The whole URL table, nothing else.

use axum::routing::{get, patch, post};

use crate::auth::access::Access::{Docs, Metrics, Own, Probe, SeeOwn, Staff};
use crate::http::routing::{Route, route};
use crate::http::{docs, events, health, metrics, orders, users};
use crate::identity::scopes::Scope::{OrdersEvents, OrdersRead, OrdersStatus, OrdersWrite};

/// Every operation, and who may call it. `GET` answers `HEAD` too.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route("GET",   "/health",                     Probe,                || get(health::health)),
    route("GET",   "/ready",                      Probe,                || get(health::ready)),
    route("GET",   "/metrics",                    Metrics,              || get(metrics::metrics)),
    route("GET",   "/openapi.json",               Docs,                 || get(docs::openapi)),
    route("GET",   "/docs",                       Docs,                 || get(docs::page)),
    route("GET",   "/docs/{file}",                Docs,                 || get(docs::page_file)),
    route("POST",  "/api/orders",                 Own(OrdersWrite),     || post(orders::order_create)),
    route("GET",   "/api/orders",                 Staff(OrdersRead),    || get(orders::order_list)),
    route("GET",   "/api/orders/{id}",            Own(OrdersRead),      || get(orders::order_get)),
    route("PATCH", "/api/orders/{id}/status",     SeeOwn(OrdersStatus), || patch(orders::order_status_change)),
    route("POST",  "/api/orders/{id}/cancel",     Own(OrdersStatus),    || post(orders::order_cancel)),
    route("GET",   "/api/orders/{id}/history",    Own(OrdersRead),      || get(orders::order_history)),
    route("GET",   "/api/users/{user_id}/orders", Own(OrdersRead),      || get(users::user_order_list)),
    route("GET",   "/api/events",                 Staff(OrdersEvents),  || get(events::event_list)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routing::find;

    #[test]
    fn every_path_leads_to_its_own_operation() {
        for route in ROUTES {
            let path = route.path.replace('{', "a").replace('}', "b");
            let found = find(ROUTES, route.method, &path);
            let found = found.map(|it| (it.method, it.path));
            assert_eq!(found, Some((route.method, route.path)));
        }
    }
}
