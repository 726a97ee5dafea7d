//! The schemas: derived from the types, with the bounds that validate.

mod fields;

use serde_json::{Map, Value, json};
use utoipa::openapi::ComponentsBuilder;

pub use self::fields::*;
use crate::domain::bounds::{EVENTS_MAX, PAGE_SIZE_MAX};
use crate::domain::money::Money;
use crate::domain::placing::{LineRequest, OrderRequest, REASON};
use crate::domain::problem::Problem;
use crate::domain::status::Status;
use crate::http::envelope::Pagination;
use crate::http::health::{Authentication, Dependency, Health, Products, Readiness};
use crate::openapi::document::{Order, OrderItem};
use crate::openapi::{examples, failures, operations};

/// `components.schemas`.
pub fn all() -> Map<String, Value> {
    let derived = ComponentsBuilder::new()
        .schema_from::<Order>()
        .schema_from::<OrderItem>()
        .schema_from::<Status>()
        .schema_from::<Money>()
        .schema_from::<OrderRequest>()
        .schema_from::<LineRequest>()
        .schema_from::<Pagination>()
        .schema_from::<Problem>()
        .schema_from::<Health>()
        .schema_from::<Readiness>()
        .schema_from::<Dependency>()
        .schema_from::<Authentication>()
        .schema_from::<Products>()
        .build();
    let mut schemas = Map::new();
    for (name, schema) in derived.schemas {
        schemas.insert(name, serde_json::to_value(schema).unwrap());
    }
    for (name, schema) in shared() {
        schemas.insert(name.into(), json!(schema));
    }
    schemas.insert("StatusChange".into(), status_change());
    schemas.insert("Cancellation".into(), cancellation());
    schemas.insert("Failure".into(), failure());
    schemas.insert("ErrorCode".into(), error_code());
    schemas.insert("OrderResponse".into(), success(&reference("Order"), true));
    schemas.insert("OrderListResponse".into(), order_list());
    schemas.insert(
        "HealthResponse".into(),
        success(&reference("Health"), false),
    );
    schemas.insert("Change".into(), change());
    schemas.insert("Event".into(), event());
    let changes = json!({ "type": "array", "items": reference("Change") });
    schemas.insert("HistoryResponse".into(), success(&changes, false));
    schemas.insert("EventsResponse".into(), events());
    let readiness = success(&reference("Readiness"), false);
    schemas.insert("ReadinessResponse".into(), readiness);
    for (name, example) in [
        ("OrderResponse", examples::order_response()),
        ("OrderListResponse", examples::order_list()),
        ("HistoryResponse", examples::order_history()),
        ("EventsResponse", examples::events()),
        ("HealthResponse", examples::health()),
        ("ReadinessResponse", examples::readiness()),
    ] {
        schemas[name]["examples"] = json!([example]);
    }
    schemas
}

/// A reference to the schema `name`.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The envelope of a success.
fn success(data: &Value, with_message: bool) -> Value {
    let mut properties = Map::new();
    properties.insert("status".into(), json!({ "const": "success" }));
    if with_message {
        let message = json!({ "type": "string", "description": "One sentence for a person." });
        properties.insert("message".into(), message);
    }
    properties.insert("data".into(), data.clone());
    json!({ "type": "object", "required": ["status", "data"], "properties": properties })
}

fn order_list() -> Value {
    let orders = json!({ "type": "array", "items": reference("Order"), "maxItems": PAGE_SIZE_MAX });
    let mut schema = success(&orders, false);
    schema["properties"]["pagination"] = reference("Pagination");
    schema["required"] = json!(["status", "data", "pagination"]);
    schema
}

/// The status before a change; null at the creation.
fn status_or_null() -> Value {
    json!({ "anyOf": [reference("OrderStatus"), { "type": "null" }] })
}

fn change() -> Value {
    json!({
        "type": "object",
        "description": "A change of an order.",
        "required": ["sequence", "from", "to", "reason", "at"],
        "properties": {
            "sequence": { "type": "integer", "minimum": 1, "description": "The version it made." },
            "from": status_or_null(),
            "to": reference("OrderStatus"),
            "reason": text_or_null(REASON, "Why, if somebody said so"),
            "at": timestamp(),
        },
    })
}

fn event() -> Value {
    let names = [
        "id", "order_id", "sequence", "type", "from", "to", "at", "order",
    ];
    json!({
        "type": "object",
        "description": "A change of an order, with the order as it was after it.",
        "required": names,
        "properties": {
            "id": { "type": "string", "description": "The same whenever the event is read." },
            "order_id": { "type": "string", "format": "uuid" },
            "sequence": {
                "type": "integer",
                "minimum": 1,
                "description": "Counts the changes of the order, without gaps.",
            },
            "type": {
                "type": "string",
                "enum": ["order.created", "order.status_changed", "order.erased"],
                "description": "`order.erased`: the order belongs to nobody any more. Whoever keeps \
                    copies of it replaces them by this one; older events show it too.",
            },
            "from": status_or_null(),
            "to": reference("OrderStatus"),
            "at": timestamp(),
            "order": reference("Order"),
        },
    })
}

fn events() -> Value {
    let list = json!({ "type": "array", "items": reference("Event"), "maxItems": EVENTS_MAX });
    let mut schema = success(&list, false);
    schema["properties"]["pagination"] = json!({
        "type": "object",
        "required": ["next_cursor"],
        "properties": {
            "next_cursor": {
                "type": "string",
                "description": "Where to go on, also behind an empty answer.",
            },
        },
    });
    schema["required"] = json!(["status", "data", "pagination"]);
    schema
}

fn failure() -> Value {
    json!({
        "type": "object",
        "description": "The envelope of every error.",
        "required": ["status", "code", "message", "request_id"],
        "properties": {
            "status": { "const": "error" },
            "code": reference("ErrorCode"),
            "message": { "type": "string", "description": "What went wrong, for a person." },
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": reference("Problem"),
                "description": "Everything that is wrong with the request, in its order; absent if \
                                no single field is to blame.",
            },
            "data": {
                "description": "What the client needs to go on: the prices with `price_changed`.",
            },
            "request_id": {
                "type": "string",
                "minLength": 1,
                "maxLength": 128,
                "description": "The header X-Request-Id again; quote it when you report the error.",
            },
        },
    })
}

fn error_code() -> Value {
    json!({
        "type": "string",
        "enum": failures::codes(&operations::errors()),
        "description": "What went wrong, for a program. Each operation says which it answers with.",
    })
}

fn status_change() -> Value {
    json!({
        "type": "object",
        "required": ["status"],
        "properties": { "status": reference("OrderStatus") },
    })
}

fn cancellation() -> Value {
    let reason = text_or_null(REASON, "Why the order is cancelled; kept with the change");
    json!({ "type": "object", "properties": { "reason": reason } })
}
