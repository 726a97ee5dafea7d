//! The parameters of paths, queries and headers.

use serde_json::{Value, json};

use super::schemas::{self, reference as schema};
use super::{examples, headers};
use crate::domain::bounds::{
    EVENTS_DEFAULT, EVENTS_MAX, IDEMPOTENCY_KEY_MAX, PAGE_DEPTH_MAX, PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX, WAIT_MAX_S,
};

/// What every list takes.
pub const LIST: [&str; 6] = [
    "Page",
    "PageSize",
    "Cursor",
    "Status",
    "CreatedFrom",
    "CreatedTo",
];
/// What every operation takes.
pub const COMMON: [&str; 2] = ["XRequestId", "Traceparent"];

/// A reference to the parameter `key`.
pub fn reference(key: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{key}") })
}

/// `components.parameters`.
pub fn all() -> Value {
    json!({
        "OrderId": path(
            "id",
            "The order's id: a UUID with hyphens, in either case.",
            &json!({ "type": "string", "format": "uuid" }),
            examples::ORDER_ID,
        ),
        "UserId": path("user_id", "The user.", &json!(schemas::user_id()), examples::USER_ID),
        "User": query("user_id", "Only the orders of this user.", &json!(schemas::user_id())),
        // Without a default: generated clients send one, also beside a cursor.
        "Page": query(
            "page",
            &page_rule(),
            &json!({ "type": "integer", "minimum": 1, "maximum": PAGE_DEPTH_MAX }),
        ),
        "PageSize": query(
            "page_size",
            "Orders of one page at most.",
            &count(PAGE_SIZE_MAX.into(), PAGE_SIZE_DEFAULT),
        ),
        "Cursor": query(
            "cursor",
            "`pagination.next_cursor` of the page before, with the same filters. Opaque; not \
             together with `page`.",
            &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
        ),
        "Status": query("status", "Only orders with this status.", &schema("OrderStatus")),
        "CreatedFrom": query("created_from", "Only orders from this moment on.", &moment()),
        "CreatedTo": query("created_to", "Only orders from before this moment.", &moment()),
        "Key": query(
            "idempotency_key",
            "Only the order that was created with this key; together with `user_id`.",
            &json!(schemas::idempotency_key()),
        ),
        "IdempotencyKey": json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Chosen by the client, unique among a user's orders, kept as long as the \
                            order. Bare, or in quotation marks.",
            // Bare: what begins with a quotation mark has to end with one.
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": IDEMPOTENCY_KEY_MAX,
                "pattern": "^[!#-~][!-~]*$",
            },
            "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
        }),
        "After": query(
            "after",
            "`pagination.next_cursor` of the answer before; without it, the feed's beginning.",
            &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
        ),
        "Limit": query("limit", "Events at most; large ones are fewer.", &count(EVENTS_MAX.into(), EVENTS_DEFAULT)),
        "Wait": query(
            "wait",
            "Seconds for which an answer that would be empty is held back.",
            &json!({ "type": "integer", "minimum": 0, "maximum": WAIT_MAX_S, "default": 0 }),
        ),
        "IfMatch": header(
            "If-Match",
            "Entity tags of the versions that the request is meant for; with any other one it is \
             refused.",
        ),
        "IfNoneMatch": header(
            "If-None-Match",
            "Entity tags that the client has: there is nothing new for it to read, and nothing to be \
             changed.",
        ),
        "XRequestId": header(
            headers::X_REQUEST_ID,
            "The client's name for the request. It comes back, and is in the log, if it has 1 to \
             128 visible ASCII characters; otherwise it is ignored.",
        ),
        "Traceparent": header(
            "traceparent",
            "The trace that the request belongs to, as in W3C Trace Context; ignored if malformed.",
        ),
    })
}

fn path(name: &str, description: &str, schema: &Value, example: &str) -> Value {
    let mut parameter = parameter(name, "path", description, schema);
    parameter["example"] = example.into();
    parameter
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    parameter(name, "query", description, schema)
}

/// Headers are never refused, so any text will do.
fn header(name: &str, description: &str) -> Value {
    parameter(name, "header", description, &json!({ "type": "string" }))
}

fn parameter(name: &str, place: &str, description: &str, schema: &Value) -> Value {
    let mut parameter =
        json!({ "name": name, "in": place, "description": description, "schema": schema });
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}

fn page_rule() -> String {
    format!(
        "The page's number, from 1. `page` times `page_size` is {PAGE_DEPTH_MAX} at most; a cursor goes \
         on from there. Not together with `cursor`."
    )
}

fn count(max: u64, default: u32) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": max, "default": default })
}

fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}
