//! Request bodies that are valid until a test changes them.

use serde_json::{Value, json};

/// The smallest valid order of these products, one each.
#[must_use]
pub fn order_of(product_ids: &[&str]) -> Value {
    let lines: Vec<Value> = product_ids.iter().map(|id| line(id, 1)).collect();
    order_with_lines(lines)
}

/// The smallest valid order with these lines.
#[must_use]
pub fn order_with_lines(lines: Vec<Value>) -> Value {
    json!({
        "user_id": "user123",
        "shipping_address": "123 Main St, New York, NY 10001",
        "order_items": lines,
    })
}

#[must_use]
pub fn line(product_id: &str, quantity: u32) -> Value {
    json!({"product_id": product_id, "quantity": quantity})
}

/// A valid order with one field replaced or added; the pointer's parent must exist.
///
/// # Panics
/// When it does not.
#[must_use]
pub fn order_but(pointer: &str, value: impl Into<Value>) -> Value {
    let mut order = order_of(&["p1"]);
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = order.pointer_mut(parent).expect("the parent");
    parent[name] = value.into();
    order
}

/// A valid order without one field.
///
/// # Panics
/// When it was not there.
#[must_use]
pub fn order_without(pointer: &str) -> Value {
    let mut order = order_of(&["p1"]);
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = order
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("the parent");
    assert!(parent.remove(name).is_some(), "{pointer}");
    order
}
