//! The error responses, made from the errors themselves.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
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

/// What no client treats each by itself, and what has no headers of its own: the response to
/// anything else.
const OTHER: &str = "default";
const OTHERS: [StatusCode; 9] = [
    StatusCode::FORBIDDEN,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::URI_TOO_LONG,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
];

/// `components.responses`: one for each status of `errors`, with every code that comes with it.
pub fn all(errors: &[Error]) -> Map<String, Value> {
    let mut shared: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (status, errors) in by_status(errors) {
        shared.entry(name(status)).or_default().extend(errors);
    }
    let shared = shared.into_iter();
    shared.map(|(name, it)| (name, response(&it))).collect()
}

/// The responses to `errors`, by status code.
pub fn responses(errors: &[Error]) -> Map<String, Value> {
    let statuses = by_status(errors).into_keys();
    statuses
        .map(|status| {
            let reference = format!("#/components/responses/{}", name(status));
            let is_other = OTHERS.contains(&status);
            let status = if is_other { OTHER } else { status.as_str() };
            (status.to_owned(), json!({ "$ref": reference }))
        })
        .collect()
}

/// The codes of `errors`, for the description of an operation.
pub fn sentence(errors: &[Error]) -> String {
    let by_status = by_status(errors).into_iter();
    let parts: Vec<_> = by_status
        .map(|(status, errors)| {
            let codes: Vec<_> = errors.iter().map(|it| format!("`{}`", it.code())).collect();
            format!("{} {}", status.as_str(), codes.join(", "))
        })
        .collect();
    if parts.is_empty() {
        return String::new();
    }
    format!("Errors: {}.", parts.join("; "))
}

/// Every code of `errors`, in the order of the alphabet.
pub fn codes(errors: &[Error]) -> BTreeSet<&'static str> {
    errors.iter().map(Error::code).collect()
}

/// One error for each code, by status.
fn by_status(errors: &[Error]) -> BTreeMap<StatusCode, Vec<&Error>> {
    let mut by_status: BTreeMap<_, Vec<&Error>> = BTreeMap::new();
    for error in errors {
        let known = by_status.entry(error.status()).or_default();
        if !known.iter().any(|known| known.code() == error.code()) {
            known.push(error);
        }
    }
    by_status
}

/// What a status is called in `components.responses`.
fn name(status: StatusCode) -> String {
    if OTHERS.contains(&status) {
        return "OtherError".into();
    }
    format!("Error{}", status.as_str())
}

fn response(errors: &[&Error]) -> Value {
    let lines = errors
        .iter()
        .map(|error| format!("- `{}`: {}", error.code(), error.message()));
    // What has more than a message says more about the rest.
    let telling = errors.iter().find(|error| !error.problems().is_empty());
    let example = envelope::error(telling.unwrap_or(&errors[0]), REQUEST_ID);
    let example: Value = serde_json::from_slice(&example).unwrap();
    let response = json!({
        "description": lines.collect::<Vec<_>>().join("\n"),
        "content": { "application/json": {
            "schema": schemas::reference("Failure"),
            "example": example,
        } },
    });
    headers::with(&header_names(errors[0]), response)
}

/// The headers that come with an error, and with all others of its status.
fn header_names(error: &Error) -> Vec<&'static str> {
    let mut names = Vec::new();
    if error.retry_after_s().is_some() {
        names.push("Retry-After");
    }
    if error.challenge().is_some() {
        names.push("WWW-Authenticate");
    }
    if matches!(error, Error::RateLimited(_)) {
        names.extend(["RateLimit", "RateLimit-Policy"]);
    }
    if matches!(error, Error::VersionMismatch(_)) {
        names.push("ETag");
    }
    names
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
        Access::Probe => return vec![misconfigured],
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
        Error::NotReady,
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

#[test]
fn errors_that_share_a_response_share_its_headers() {
    let errors = super::operations::errors();
    for error in &errors {
        for other in errors
            .iter()
            .filter(|other| name(other.status()) == name(error.status()))
        {
            assert_eq!(
                header_names(error),
                header_names(other),
                "{error:?} {other:?}"
            );
        }
    }
}
