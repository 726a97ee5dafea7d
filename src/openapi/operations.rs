//! The operations: one function for each route.

mod service;

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
        service::health(),
        service::ready(),
        service::metrics(),
        service::openapi(),
        service::docs(),
    ]
}

/// Every error of every operation.
pub fn errors() -> Vec<Error> {
    all().iter().flat_map(Operation::errors).collect()
}

impl Operation {
    /// Whatever may go wrong, but for what may everywhere.
    fn own_errors(&self) -> Vec<Error> {
        let access = security::access(self.method, self.path);
        [&self.errors[..], &failures::access(access)].concat()
    }

    /// Whatever may go wrong.
    fn errors(&self) -> Vec<Error> {
        [self.own_errors(), failures::common()].concat()
    }

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
        responses.extend(failures::responses(&self.errors()));
        let callers = security::sentence(access);
        let about = [self.description, &callers].join(" ");
        let description = [about.trim(), &failures::sentence(&self.own_errors())].join("\n\n");
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": description.trim(),
            "parameters": parameters.map(|key| parameters::reference(key)).collect::<Vec<_>>(),
        });
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

/// A response whose schema has an example.
fn json_response(description: &str, names: &[&str], schema: &str) -> Value {
    let content = json!({ "application/json": { "schema": schemas::reference(schema) } });
    let response = json!({ "description": description, "content": content });
    headers::with(names, response)
}

fn order_response(description: &str) -> Value {
    json_response(description, &["ETag"], "OrderResponse")
}

fn not_modified(names: &[&str]) -> Value {
    headers::with(names, json!({ "description": "The client has it already" }))
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
    let names = ["ETag", "Location"];
    let mut created = json_response("The order", &names, "OrderResponse");
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

fn list() -> Value {
    let names = ["Link"];
    json_response("A page of the list", &names, "OrderListResponse")
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
        success: ("200", list()),
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
        success: ("200", list()),
        errors,
        ..Operation::default()
    }
}

fn order_get() -> Operation {
    Operation {
        method: "GET",
        path: "/api/orders/{id}",
        id: "order_get",
        tag: "orders",
        summary: "Read an order",
        parameters: vec!["OrderId", "IfMatch", "IfNoneMatch"],
        success: ("200", order_response("The order")),
        not_modified: Some(not_modified(&["ETag"])),
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
        parameters: vec!["OrderId", "IfMatch", "IfNoneMatch"],
        body: Some(request_body(
            "StatusChange",
            true,
            "The status that the order is to have",
            &json!({ "status": "confirmed" }),
        )),
        success: ("200", order_response("The order as it is now")),
        errors,
        ..Operation::default()
    }
}

fn order_cancel() -> Operation {
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
        parameters: vec!["OrderId", "IfMatch", "IfNoneMatch"],
        body: Some(request_body(
            "Cancellation",
            false,
            "Why, if that is to be kept",
            &json!({ "reason": "Ordered twice" }),
        )),
        success: ("200", order_response("The order as it is now")),
        errors,
        ..Operation::default()
    }
}

fn order_history() -> Operation {
    let response = json_response("The changes", &[], "HistoryResponse");
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
    let response = json_response("The changes", &[], "EventsResponse");
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
