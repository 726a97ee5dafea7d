//! The operations: one function for each route.

use serde_json::{Value, json};

use super::{examples, failures, headers, parameters, schemas, security};
use crate::domain::status::Status;
use crate::error::Error;

/// One operation of the API.
#[derive(Default)]
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    /// Keys of `components.parameters`.
    pub parameters: Vec<&'static str>,
    body: Option<Value>,
    /// The status code of a success and its response.
    success: (&'static str, Value),
    /// The response to a client that has the content already.
    not_modified: Option<Value>,
    errors: Vec<Error>,
}

/// Every operation, in the order of the document.
pub fn all() -> Vec<Operation> {
    vec![
        order_create(),
        order_list(),
        order_get(),
        order_status_change(),
        order_cancel(),
        order_history(),
        user_order_list(),
        event_list(),
        health(),
        ready(),
        metrics(),
        openapi(),
        docs(),
    ]
}

impl Operation {
    /// The operation object.
    pub fn to_json(&self) -> Value {
        let parameters = self.parameters.iter().chain(&parameters::COMMON);
        let (status, success) = &self.success;
        let mut responses = serde_json::Map::new();
        responses.insert((*status).into(), success.clone());
        if let Some(response) = &self.not_modified {
            responses.insert("304".into(), response.clone());
        }
        let access = security::access(self.method, self.path);
        let common = [failures::access(access), failures::common()].concat();
        let errors: Vec<_> = self.errors.iter().chain(&common).cloned().collect();
        responses.extend(failures::responses(&errors));
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "parameters": parameters.map(|key| parameters::reference(key)).collect::<Vec<_>>(),
        });
        let callers = security::sentence(access);
        let description = [self.description, &callers].join(" ");
        if !description.trim().is_empty() {
            operation["description"] = description.trim().into();
        }
        operation["security"] = security::requirement(access);
        if let Some(body) = &self.body {
            operation["requestBody"] = body.clone();
        }
        operation["responses"] = responses.into();
        operation
    }
}

fn request_body(schema: &str, required: bool, description: &str, example: &Value) -> Value {
    json!({
        "required": required,
        "description": description,
        "content": { "application/json": { "schema": schemas::reference(schema), "example": example } },
    })
}

fn json_response(description: &str, names: &[&str], schema: &str, example: &Value) -> Value {
    json!({
        "description": description,
        "headers": headers::of_response(names),
        "content": { "application/json": { "schema": schemas::reference(schema), "example": example } },
    })
}

fn order_response(description: &str, example: &Value) -> Value {
    json_response(
        description,
        &["Cache-Control", "ETag"],
        "OrderResponse",
        example,
    )
}

/// What can be done with the order of a response.
fn order_links() -> Value {
    let id = json!({ "id": "$response.body#/data/id" });
    let user = json!({ "user_id": "$response.body#/data/user_id" });
    json!({
        "read": { "operationId": "order_get", "parameters": id },
        "change_status": { "operationId": "order_status_change", "parameters": id },
        "cancel": { "operationId": "order_cancel", "parameters": id },
        "user": { "operationId": "user_order_list", "parameters": user },
    })
}

fn order_create() -> Operation {
    let names = ["Cache-Control", "ETag", "Location"];
    let example = examples::order_response(Some("Order created successfully"), Status::Pending, 1);
    let mut created = json_response("The order", &names, "OrderResponse", &example);
    created["headers"]["Idempotent-Replayed"] =
        json!({ "$ref": "#/components/headers/IdempotentReplayed" });
    created["links"] = order_links();
    Operation {
        method: "POST",
        path: "/api/orders",
        id: "order_create",
        tag: "orders",
        summary: "Create an order",
        description: "Prices and currency come from the product service. Either the whole order is \
                      stored or nothing. Send an `Idempotency-Key` and repeat the request with it \
                      when no answer came: there will be one order, and the answer is that of the \
                      creation.",
        parameters: vec!["IdempotencyKey"],
        body: Some(request_body(
            "OrderRequest",
            true,
            "64 KiB at most; other JSON types (`application/…+json`) do as well",
            &examples::order_request(),
        )),
        success: ("201", created),
        errors: [
            vec![Error::Forbidden],
            failures::body(failures::invalid_order()),
            failures::idempotency(),
            failures::pricing(),
            failures::database(),
        ]
        .concat(),
        ..Operation::default()
    }
}

fn list(description: &str, user_in_path: bool) -> Value {
    let filter = if user_in_path { "user_id=user123" } else { "" };
    let example = examples::order_list(filter);
    json_response(
        description,
        &["Cache-Control", "Link"],
        "OrderListResponse",
        &example,
    )
}

fn order_list() -> Operation {
    Operation {
        method: "GET",
        path: "/api/orders",
        id: "order_list",
        tag: "orders",
        summary: "List orders",
        description: "Newest first. A walk by cursor sees every order that existed at its start \
                      exactly once, whatever is created meanwhile.",
        parameters: [&parameters::LIST[..], &["User", "Key"]].concat(),
        success: ("200", list("A page of the list", false)),
        errors: [failures::list(), failures::database()].concat(),
        ..Operation::default()
    }
}

fn user_order_list() -> Operation {
    let mut errors = [failures::list(), failures::database()].concat();
    errors.push(Error::NotFound);
    Operation {
        method: "GET",
        path: "/api/users/{user_id}/orders",
        id: "user_order_list",
        tag: "users",
        summary: "List a user's orders",
        description: "Newest first. An unknown user has an empty list.",
        parameters: [&["UserId"], &parameters::LIST[..]].concat(),
        success: ("200", list("A page of the list", true)),
        errors,
        ..Operation::default()
    }
}

fn order_get() -> Operation {
    let example = examples::order_response(None, Status::Pending, 1);
    Operation {
        method: "GET",
        path: "/api/orders/{id}",
        id: "order_get",
        tag: "orders",
        summary: "Read an order",
        parameters: vec!["OrderId", "IfMatch", "IfNoneMatch"],
        success: ("200", order_response("The order", &example)),
        not_modified: Some(not_modified(&["Cache-Control", "ETag"])),
        errors: [
            failures::order_id(),
            failures::database(),
            vec![Error::VersionMismatch(2)],
        ]
        .concat(),
        ..Operation::default()
    }
}

fn order_status_change() -> Operation {
    let message = "Order status updated successfully";
    let example = examples::order_response(Some(message), Status::Confirmed, 2);
    let mut errors = [
        failures::order_id(),
        failures::body(failures::invalid_status()),
        failures::database(),
    ]
    .concat();
    errors.extend([failures::invalid_transition(), Error::VersionMismatch(2)]);
    Operation {
        method: "PATCH",
        path: "/api/orders/{id}/status",
        id: "order_status_change",
        tag: "orders",
        summary: "Change an order's status",
        description: "`pending` → `confirmed` or `cancelled`, `confirmed` → `shipped` or \
                      `cancelled`, `shipped` → `delivered`. Asking for the status that the order \
                      has already succeeds without a new version.",
        parameters: vec!["OrderId", "IfMatch"],
        body: Some(request_body(
            "StatusChange",
            true,
            "The status that the order is to have",
            &json!({ "status": "confirmed" }),
        )),
        success: ("200", order_response("The order as it is now", &example)),
        errors,
        ..Operation::default()
    }
}

fn order_cancel() -> Operation {
    let message = "Order cancelled successfully";
    let example = examples::order_response(Some(message), Status::Cancelled, 2);
    let mut errors = [
        failures::order_id(),
        failures::body(failures::invalid_reason()),
        failures::database(),
    ]
    .concat();
    let shipped = Error::NotCancellable(Status::Shipped);
    errors.extend([shipped, Error::VersionMismatch(2)]);
    Operation {
        method: "POST",
        path: "/api/orders/{id}/cancel",
        id: "order_cancel",
        tag: "orders",
        summary: "Cancel an order",
        description: "As long as it is pending or confirmed. Cancelling a cancelled order \
                      succeeds without a new version.",
        parameters: vec!["OrderId", "IfMatch"],
        body: Some(request_body(
            "Cancellation",
            false,
            "Why, if that is to be kept",
            &json!({ "reason": "Ordered twice" }),
        )),
        success: ("200", order_response("The order as it is now", &example)),
        errors,
        ..Operation::default()
    }
}

fn order_history() -> Operation {
    let example = examples::order_history();
    let response = json_response(
        "The changes",
        &["Cache-Control"],
        "HistoryResponse",
        &example,
    );
    Operation {
        method: "GET",
        path: "/api/orders/{id}/history",
        id: "order_history",
        tag: "orders",
        summary: "Read an order's history",
        description: "Every change, oldest first, the creation included.",
        parameters: vec!["OrderId"],
        success: ("200", response),
        errors: [failures::order_id(), failures::database()].concat(),
        ..Operation::default()
    }
}

fn event_list() -> Operation {
    let example = examples::events();
    let response = json_response(
        "The changes",
        &["Cache-Control"],
        "EventsResponse",
        &example,
    );
    Operation {
        method: "GET",
        path: "/api/events",
        id: "event_list",
        tag: "events",
        summary: "Follow the changes of all orders",
        description: "Every committed change exactly once, the changes of an order in their order. \
                      Store `pagination.next_cursor` with what you have made of the events, and ask \
                      again with `after`; with `wait` an answer that would be empty is held back \
                      until there is something.",
        parameters: vec!["After", "Limit", "Wait"],
        success: ("200", response),
        errors: [
            vec![failures::feed(), Error::CursorExpired],
            failures::database(),
        ]
        .concat(),
        ..Operation::default()
    }
}

fn health() -> Operation {
    let example = json!({
        "status": "success",
        "data": { "service": "order-service", "version": env!("CARGO_PKG_VERSION"), "environment": "production" },
    });
    Operation {
        method: "GET",
        path: "/health",
        id: "health",
        tag: "service",
        summary: "Is the service alive?",
        description: "Asks no other service.",
        success: (
            "200",
            json_response("It is", &["Cache-Control"], "HealthResponse", &example),
        ),
        ..Operation::default()
    }
}

fn ready() -> Operation {
    let up = |latency_ms: u64| json!({ "state": "up", "latency_ms": latency_ms });
    let products = json!({ "state": "up", "latency_ms": 12, "status": 200, "breaker": "closed" });
    let example = json!({
        "status": "success",
        "data": { "state": "ready", "database": up(2), "cache": up(1), "products": products,
                  "authentication": { "mode": "jwt" } },
    });
    Operation {
        method: "GET",
        path: "/ready",
        id: "ready",
        tag: "service",
        summary: "Can the service serve orders?",
        success: (
            "200",
            json_response("It can", &["Cache-Control"], "ReadinessResponse", &example),
        ),
        errors: vec![Error::NotReady],
        ..Operation::default()
    }
}

/// A response with text; `types` are its content types with an example of each.
fn text_response(description: &str, names: &[&str], types: &[(&str, &str)]) -> Value {
    let content: serde_json::Map<_, _> = types
        .iter()
        .map(|&(content_type, example)| {
            let media = json!({ "schema": { "type": "string" }, "example": example });
            (content_type.to_owned(), media)
        })
        .collect();
    json!({ "description": description, "headers": headers::of_response(names), "content": content })
}

fn metrics() -> Operation {
    let types = [
        ("text/plain", "dependency_up{dependency=\"database\"} 1\n"),
        (
            "application/openmetrics-text",
            "dependency_up{dependency=\"database\"} 1\n# EOF\n",
        ),
    ];
    Operation {
        method: "GET",
        path: "/metrics",
        id: "metrics",
        tag: "service",
        summary: "Metrics for Prometheus",
        description: "The sums over all replicas. What cannot be read is absent, and its \
                      dependency shown as down. `Accept: application/openmetrics-text` asks for \
                      that format.",
        success: (
            "200",
            text_response("The metrics", &["Cache-Control"], &types),
        ),
        ..Operation::default()
    }
}

fn not_modified(names: &[&str]) -> Value {
    json!({ "description": "The client has it already", "headers": headers::of_response(names) })
}

fn openapi() -> Operation {
    let names = ["Cache-Control", "FileETag"];
    let response = json!({
        "description": "The document",
        "headers": headers::of_response(&names),
        "content": { "application/json": { "schema": { "type": "object" } } },
    });
    Operation {
        method: "GET",
        path: "/openapi.json",
        id: "openapi",
        tag: "service",
        summary: "This document",
        parameters: vec!["IfNoneMatch"],
        success: ("200", response),
        not_modified: Some(not_modified(&names)),
        ..Operation::default()
    }
}

fn docs() -> Operation {
    let names = ["Cache-Control", "FileETag"];
    let types = [("text/html", "<!doctype html>")];
    Operation {
        method: "GET",
        path: "/docs",
        id: "docs",
        tag: "service",
        summary: "A page to read and try this API",
        parameters: vec!["IfNoneMatch"],
        success: ("200", text_response("The page", &names, &types)),
        not_modified: Some(not_modified(&names)),
        ..Operation::default()
    }
}
