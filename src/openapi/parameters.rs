//! The parameters of paths, queries and headers.

use serde_json::{Map, Value, json};

use super::schemas;
use crate::domain::bounds::{PAGE_DEPTH_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};

/// `components.parameters`.
pub fn all() -> Map<String, Value> {
    let page = format!(
        "The page's number. `page` times `page_size` is {PAGE_DEPTH_MAX} at most (400 \
         `page_too_deep`); a cursor goes on from there. Not together with `cursor`."
    );
    let cursor = "`pagination.next_cursor` of the page before, in a list with the same filters. \
                  Opaque; not together with `page`.";
    let user = schemas::user_id();
    let timestamp = json!({ "type": "string", "format": "date-time" });
    let parameters = [
        (
            "OrderId",
            "id",
            "path",
            "The order's id: a UUID with hyphens, in either case",
            json!({ "type": "string", "format": "uuid" }),
        ),
        ("UserId", "user_id", "path", "The user", json!(user)),
        (
            "User",
            "user_id",
            "query",
            "Only the orders of this user",
            json!(user),
        ),
        (
            "Page",
            "page",
            "query",
            &page,
            json!({ "type": "integer", "minimum": 1, "maximum": PAGE_DEPTH_MAX, "default": 1 }),
        ),
        (
            "PageSize",
            "page_size",
            "query",
            "Orders of one page at most",
            json!({ "type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE_DEFAULT }),
        ),
        (
            "Cursor",
            "cursor",
            "query",
            cursor,
            json!({ "type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$" }),
        ),
        (
            "Status",
            "status",
            "query",
            "Only orders with this status",
            schemas::reference("OrderStatus"),
        ),
        (
            "CreatedFrom",
            "created_from",
            "query",
            "Only orders from this moment on (RFC 3339)",
            timestamp.clone(),
        ),
        (
            "CreatedTo",
            "created_to",
            "query",
            "Only orders from before this moment (RFC 3339)",
            timestamp,
        ),
        (
            "IfNoneMatch",
            "If-None-Match",
            "header",
            "The entity tags that the client has",
            json!({ "type": "string" }),
        ),
        (
            "XRequestId",
            "X-Request-Id",
            "header",
            "The client's name for the request: comes back, and is in the log, if it has 1 to 128 \
             visible ASCII characters; otherwise it is ignored",
            json!({ "type": "string" }),
        ),
        (
            "Traceparent",
            "traceparent",
            "header",
            "The trace that the request belongs to, as in W3C Trace Context; ignored if malformed",
            json!({ "type": "string" }),
        ),
    ];
    parameters
        .into_iter()
        .map(|(key, name, place, description, schema)| {
            let parameter = json!({
                "name": name,
                "in": place,
                "required": place == "path",
                "description": description,
                "schema": schema,
            });
            (key.to_owned(), parameter)
        })
        .collect()
}

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
