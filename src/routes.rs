//! The whole URL table, nothing else.

use axum::routing::{get, patch, post};

use crate::http::routing::{Route, route};
use crate::http::{docs, events, health, metrics, orders, users};

/// Every operation. `GET` answers `HEAD` too.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route("GET",   "/health",                     || get(health::health)),
    route("GET",   "/ready",                      || get(health::ready)),
    route("GET",   "/metrics",                    || get(metrics::metrics)),
    route("GET",   "/openapi.json",               || get(docs::openapi)),
    route("GET",   "/docs",                       || get(docs::page)),
    route("GET",   "/docs/{file}",                || get(docs::page_file)),
    route("POST",  "/api/orders",                 || post(orders::order_create)),
    route("GET",   "/api/orders",                 || get(orders::order_list)),
    route("GET",   "/api/orders/{id}",            || get(orders::order_get)),
    route("PATCH", "/api/orders/{id}/status",     || patch(orders::order_status_change)),
    route("POST",  "/api/orders/{id}/cancel",     || post(orders::order_cancel)),
    route("GET",   "/api/orders/{id}/history",    || get(orders::order_history)),
    route("GET",   "/api/users/{user_id}/orders", || get(users::user_order_list)),
    route("GET",   "/api/events",                 || get(events::event_list)),
];
