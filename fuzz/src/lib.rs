//! What may come in, read as the service reads it. Each function takes any bytes; what must hold
//! for all of them is asserted. It must not panic either: in the component that would be a trap.

mod token;

pub use token::{key_set, token};

use bytes::Bytes;
use http::{Response, StatusCode};
use order_service::domain::bounds;
use order_service::domain::cursor::{FeedPosition, Position};
use order_service::domain::idempotency::IdempotencyKey;
use order_service::domain::list::{BadQuery, FeedRequest, ListRequest, Start};
use order_service::domain::money::Money;
use order_service::domain::placing::{BadBody, OrderRequest, parse_reason, parse_status};
use order_service::domain::preconditions::Preconditions;
use order_service::products::reply;

/// The bodies of all requests that have one.
pub fn body(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    for caller in [None, Some("caller")] {
        match OrderRequest::parse(text, caller) {
            Ok(request) => check_order(&request),
            Err(BadBody::Invalid(problems)) => check_problems(problems.iter().map(|it| it.offset)),
            Err(BadBody::NotJson(_)) => {}
        }
    }
    if let Err(BadBody::Invalid(problems)) = parse_status(text) {
        check_problems(problems.iter().map(|it| it.offset));
    }
    if let Ok(Some(reason)) = parse_reason(text) {
        assert!(reason.chars().count() <= bounds::REASON_MAX);
    }
}

fn check_order(request: &OrderRequest) {
    let is_text = |text: &str, max: usize| {
        let length = text.chars().count();
        (1..=max).contains(&length) && !text.trim().is_empty() && !text.contains('\0')
    };
    assert!(is_text(&request.user_id, bounds::USER_ID_MAX));
    assert!(is_text(&request.shipping_address, bounds::ADDRESS_MAX));
    assert!(is_text(&request.billing_address, bounds::ADDRESS_MAX));
    assert!((1..=bounds::ITEMS_MAX).contains(&request.lines.len()));
    for line in &request.lines {
        assert!(is_text(&line.product_id, bounds::PRODUCT_ID_MAX));
        assert!((1..=bounds::QUANTITY_MAX).contains(&line.quantity));
    }
    assert!(request.fingerprint().is_ok());
}

fn check_problems(offsets: impl Iterator<Item = usize>) {
    let offsets: Vec<_> = offsets.collect();
    assert!(!offsets.is_empty(), "a body is refused for a reason");
    assert!(
        offsets.is_sorted(),
        "problems come in the order of the document"
    );
}

/// Query strings of lists and of the change feed, with the cursors in them.
pub fn query(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    for user in [None, Some("user".to_owned())] {
        match ListRequest::parse(text, user.clone()) {
            Ok(request) => {
                assert!((1..=bounds::PAGE_SIZE_MAX).contains(&request.page_size));
                // A link leads to the same list.
                let link = request.filter.to_query();
                let again = ListRequest::parse(&link, user).expect("the filter of a list");
                assert_eq!(again.filter, request.filter);
                if let Start::After(position) = request.start {
                    let cursor = position.encode(&link);
                    assert_eq!(Position::decode(&cursor, &link), Some(position));
                }
            }
            Err(BadQuery::Invalid(problems)) => assert!(!problems.is_empty()),
            Err(_) => {}
        }
    }
    if let Ok(request) = FeedRequest::parse(text) {
        assert!((1..=bounds::EVENTS_MAX).contains(&request.limit));
    }
    if let Some(position) = FeedPosition::decode(text) {
        assert_eq!(position.encode(), text);
    }
    if let Some(position) = Position::decode(text, "") {
        assert_eq!(position.encode(""), text);
    }
    // The end of a page is read from a document of the database.
    let _ = Position::of(text);
}

/// Entity tags and idempotency keys.
pub fn headers(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let conditions = Preconditions::read(&lines, &lines);
    for version in [1, 7, i32::MAX] {
        let named = conditions.versions();
        let is_named = named
            .as_ref()
            .is_none_or(|it| it.contains(&version.to_string()));
        assert_eq!(conditions.is_refused(version), !is_named);
        // A strong tag that may be changed is one that is known.
        assert!(conditions.is_refused(version) || conditions.is_known(&version.to_string()));
    }
    if let Ok(key) = IdempotencyKey::from_header(text) {
        let again = IdempotencyKey::parse(key.as_str()).expect("a key");
        assert_eq!(again, key);
        assert!((1..=bounds::IDEMPOTENCY_KEY_MAX).contains(&key.as_str().len()));
    }
}

/// Replies of the product service.
pub fn product(data: &[u8]) {
    let reply = Response::new(Bytes::copy_from_slice(data));
    for id in ["1", "p1", "550e8400-e29b-41d4-a716-446655440000"] {
        if let Ok(Some(product)) = reply::product(id, &reply) {
            assert!(product.price <= Money::MAX);
            assert_eq!(product.currency.len(), 3);
        }
    }
    let mut missing = Response::new(Bytes::copy_from_slice(data));
    *missing.status_mut() = StatusCode::NOT_FOUND;
    assert!(matches!(reply::product("1", &missing), Ok(None)));
}

/// Amounts of money.
pub fn money(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let Ok(amount) = Money::parse(text) else {
        return;
    };
    assert!(amount >= Money::ZERO && amount <= Money::MAX);
    let written = amount.to_string();
    assert_eq!(Money::parse(&written), Ok(amount), "{written}");
    let (_, cents) = written.split_once('.').expect("a decimal point");
    assert_eq!(cents.len(), 2, "{written}");
    if let Some(double) = amount.times(2) {
        assert_eq!(amount.plus(amount), Some(double));
    }
    assert_eq!(serde_json::to_string(&amount).expect("JSON"), written);
}
