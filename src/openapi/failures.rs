//! The error responses, made from the errors themselves.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::examples::REQUEST_ID;
use super::{headers, schemas};
use crate::auth::access::Access;
use crate::config::BadVariable;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::list::{FeedRequest, ListRequest};
use crate::domain::placing::{OrderRequest, parse_reason, parse_status};
use crate::domain::pricing::Unpriceable;
use crate::domain::problem::Problem;
use crate::domain::status::Status;
use crate::error::Error;
use crate::http::envelope;
use crate::identity::Unauthenticated;
use crate::platform::postgres::DbError;

/// The responses to `errors`, by status code.
pub fn responses(errors: &[Error]) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<&Error>> = BTreeMap::new();
    for error in errors {
        by_status
            .entry(error.status().as_u16())
            .or_default()
            .push(error);
    }
    by_status
        .into_iter()
        .map(|(status, errors)| (status.to_string(), response(&errors)))
        .collect()
}

fn response(errors: &[&Error]) -> Value {
    let mut description = String::new();
    let mut codes = Vec::new();
    let mut examples = Map::new();
    for error in errors {
        let code = error.code();
        let body: Value = serde_json::from_slice(&envelope::error(error, REQUEST_ID)).unwrap();
        if !codes.contains(&code) {
            codes.push(code);
            let line = if errors.len() > 1 { "- " } else { "" };
            writeln!(description, "{line}`{code}`: {}", error.message()).unwrap();
        }
        examples.insert(code.into(), json!({ "value": body }));
    }
    let mut names = vec!["Cache-Control"];
    let any = |wanted: fn(&Error) -> bool| errors.iter().any(|error| wanted(error));
    if any(|error| matches!(error, Error::MethodNotAllowed)) {
        names.push("Allow");
    }
    if any(|error| error.retry_after_s().is_some()) {
        names.push("Retry-After");
    }
    if any(|error| error.challenge().is_some()) {
        names.push("WWW-Authenticate");
    }
    if any(|error| matches!(error, Error::RateLimited(_))) {
        names.extend(["RateLimit", "RateLimit-Policy"]);
    }
    json!({
        "description": description.trim_end(),
        "headers": headers::of_response(&names),
        "content": { "application/json": {
            "schema": { "allOf": [
                schemas::reference("Error"),
                { "properties": { "code": { "enum": codes } } },
            ] },
            "examples": examples,
        } },
    })
}

/// What may go wrong in every operation.
pub fn common() -> Vec<Error> {
    vec![
        Error::MethodNotAllowed,
        Error::UriTooLong,
        Error::HeadersTooLarge,
        Error::Internal(String::new()),
    ]
}

/// What may go wrong before an operation is reached, by who may call it.
pub fn access(access: Access) -> Vec<Error> {
    let limited = Error::RateLimited(Duration::ZERO);
    let misconfigured = Error::Misconfigured(BadVariable::new("", ""));
    let mut errors = match access {
        Access::Probe => return Vec::new(),
        Access::Metrics | Access::Docs => return vec![misconfigured, Error::NotFound, limited],
        Access::Own(_) => Vec::new(),
        Access::SeeOwn(_) | Access::Staff(_) => vec![Error::Forbidden],
    };
    errors.extend([
        Unauthenticated::NoToken.into(),
        limited,
        Error::NoKeys,
        misconfigured,
    ]);
    errors
}

/// What may go wrong where the database is asked.
pub fn database() -> Vec<Error> {
    vec![
        Error::Database(DbError::TooSlow),
        Error::Database(DbError::Overloaded),
    ]
}

/// What may go wrong where an order is named by its id.
pub fn order_id() -> Vec<Error> {
    vec![Error::InvalidOrderId, Error::NotFound, Error::OrderNotFound]
}

/// What may go wrong with a body, of which `example` is an invalid one.
pub fn body(example: Error) -> Vec<Error> {
    let malformed = serde_json::from_str::<Value>("{").unwrap_err();
    vec![
        Error::InvalidJson(malformed.to_string()),
        Error::IncompleteBody,
        example,
        Error::RequestTimeout,
        Error::PayloadTooLarge,
        Error::UnsupportedMediaType,
    ]
}

/// What may go wrong with the query of a list.
pub fn list() -> Vec<Error> {
    let query = ListRequest::parse("page_size=101&status=lost", None);
    vec![query.unwrap_err().into(), Error::PageTooDeep]
}

/// What may go wrong with the query of the change feed.
pub fn feed() -> Error {
    FeedRequest::parse("limit=0&wait=60").unwrap_err().into()
}

/// What may go wrong with what makes a creation safe to repeat.
pub fn idempotency() -> Vec<Error> {
    let prices = json!({
        "total_amount": 59.98,
        "currency": "USD",
        "order_items": [{
            "product_id": "p1", "quantity": 2, "unit_price": 29.99, "subtotal": 59.98,
            "price_as_of": null,
        }],
    });
    let key = IdempotencyKey::parse("");
    vec![
        Error::InvalidIdempotencyKey(key.unwrap_err()),
        Error::IdempotencyKeyReused,
        Error::PriceChanged(prices.to_string()),
    ]
}

/// What may go wrong when the order is priced.
pub fn pricing() -> Vec<Error> {
    let problems = |field: &str, code, message: &str| {
        vec![Problem::new(
            format!("/order_items/0/{field}"),
            code,
            message,
        )]
    };
    let unknown = problems(
        "product_id",
        "unknown_product",
        "there is no such product for sale",
    );
    let scarce = problems(
        "quantity",
        "insufficient_stock",
        "there is not enough of this product on stock",
    );
    let mixed = problems(
        "product_id",
        "mixed_currencies",
        "has another currency than the first item",
    );
    vec![
        Error::Unpriceable(Unpriceable::UnknownProduct(unknown)),
        Error::Unpriceable(Unpriceable::InsufficientStock(scarce)),
        Error::Unpriceable(Unpriceable::MixedCurrencies(mixed)),
        Error::Unpriceable(Unpriceable::TotalTooLarge),
        Error::InvalidProductReply(String::new()),
        Error::ProductServiceUnavailable {
            reason: String::new(),
            retry_after: Duration::ZERO,
        },
    ]
}

pub fn invalid_order() -> Error {
    let body = r#"{"user_id":" ","order_items":[{"product_id":"p1","quantity":0}]}"#;
    OrderRequest::parse(body, None).unwrap_err().into()
}

pub fn invalid_status() -> Error {
    parse_status(r#"{"status":"lost"}"#).unwrap_err().into()
}

pub fn invalid_reason() -> Error {
    parse_reason(r#"{"reason":7}"#).unwrap_err().into()
}

pub fn invalid_transition() -> Error {
    Error::InvalidTransition {
        from: Status::Pending,
        to: Status::Delivered,
    }
}
