//! Examples: real values of the service's types, written as the service writes them.

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::cursor::{FeedPosition, Position};
use crate::domain::money::Money;
use crate::domain::status::Status;
use crate::http::envelope::Pagination;
use crate::openapi::document::{Order, OrderItem};

pub const REQUEST_ID: &str = "0192a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
pub const ORDER_ID: &str = "0192a1b2-c3d4-7000-8000-000000000001";
/// A product of the sample catalogue.
const PRODUCT_ID: &str = "550e8400-e29b-41d4-a716-446655440000";
pub const USER_ID: &str = "user123";
const ADDRESS: &str = "123 Main St, Springfield";
const PLACED_AT_US: i64 = 1_769_860_800_123_456;

/// The body of a creation.
pub fn order_request() -> Value {
    json!({
        "user_id": USER_ID,
        "shipping_address": ADDRESS,
        "notes": "Leave at the door",
        "order_items": [{ "product_id": PRODUCT_ID, "quantity": 2 }],
    })
}

/// The order that the request makes.
fn order() -> Order {
    let at = DateTime::from_timestamp_micros(PLACED_AT_US).unwrap();
    let order_id = ORDER_ID.parse().unwrap();
    let unit_price = Money::parse("29.99").unwrap();
    let subtotal = unit_price.times(2).unwrap();
    Order {
        id: order_id,
        user_id: USER_ID.into(),
        total_amount: subtotal,
        currency: "USD".into(),
        shipping_address: ADDRESS.into(),
        billing_address: ADDRESS.into(),
        notes: Some("Leave at the door".into()),
        order_items: vec![OrderItem {
            id: Uuid::from_u128(0x0192_a1b2_c3d4_7000_8000_0000_0000_0002),
            order_id,
            product_id: PRODUCT_ID.into(),
            quantity: 2,
            unit_price,
            subtotal,
            price_as_of: None,
            created_at: at,
            updated_at: at,
        }],
        created_at: at,
        status: Status::Pending,
        version: 1,
        updated_at: at,
    }
}

/// The answer to a creation.
pub fn order_response() -> Value {
    let message = "Order created successfully";
    json!({ "status": "success", "message": message, "data": order() })
}

/// The first page of a list with more than one.
pub fn order_list() -> Value {
    let order = order();
    let next = Position {
        created_at: order.created_at,
        id: order.id,
    };
    let pagination = Pagination {
        page: Some(1),
        page_size: 1,
        total: 2,
        total_pages: 2,
        next_cursor: Some(next.encode("")),
    };
    json!({ "status": "success", "data": [order], "pagination": pagination })
}

/// What has happened to a confirmed order.
pub fn order_history() -> Value {
    let at = json!(order())["created_at"].clone();
    let created = json!({ "sequence": 1, "from": null, "to": "pending", "reason": null, "at": at });
    let confirmed =
        json!({ "sequence": 2, "from": "pending", "to": "confirmed", "reason": null, "at": at });
    json!({ "status": "success", "data": [created, confirmed] })
}

/// The change feed with one creation.
pub fn events() -> Value {
    let order = json!(order());
    let next = FeedPosition {
        position: 731,
        number: 1,
    };
    let event = json!({
        "id": format!("{ORDER_ID}:1"),
        "order_id": ORDER_ID,
        "sequence": 1,
        "type": "order.created",
        "from": null,
        "to": "pending",
        "at": order["created_at"],
        "order": order,
    });
    let pagination = json!({ "next_cursor": next.encode() });
    json!({ "status": "success", "data": [event], "pagination": pagination })
}

pub fn health() -> Value {
    json!({
        "status": "success",
        "data": { "service": "order-service", "version": env!("CARGO_PKG_VERSION"), "environment": "production" },
    })
}

pub fn readiness() -> Value {
    let up = |latency_ms: u64| json!({ "state": "up", "latency_ms": latency_ms });
    let products = json!({ "state": "up", "latency_ms": 12, "status": 200, "breaker": "closed" });
    json!({
        "status": "success",
        "data": { "state": "ready", "database": up(2), "cache": up(1), "products": products,
                  "authentication": { "mode": "jwt" } },
    })
}
