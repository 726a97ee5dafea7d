//! The schemas of single fields, with the bounds that validate.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AnyOfBuilder, Array, ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::bounds::{IDEMPOTENCY_KEY_MAX, ITEMS_MAX, PAGE_SIZE_MAX, QUANTITY_MAX};
use crate::domain::money::Money;
use crate::domain::placing::{ADDRESS, NOTES, PRODUCT_ID, USER_ID};
use crate::domain::problem::TextRule;

impl ToSchema for Money {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Money")
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        let largest = Self::MAX.to_string().parse::<f64>().unwrap();
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0))
            .maximum(Some(largest))
            .description(Some(
                "An exact amount, always with two decimals, such as 59.98 or 60.00.",
            ))
            .into()
    }
}

/// What is no control character: of one line, and of several.
const IN_LINE: &str = r"[^\u0000-\u001F\u007F-\u009F]";
const IN_LINES: &str = r"[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]";
/// What is neither a control character nor white space.
const VISIBLE: &str =
    r"[^\u0000-\u0020\u007F-\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]";

/// A string that keeps `rule`.
fn text(rule: TextRule, description: &str) -> Object {
    text_builder(rule, description)
        .schema_type(Type::String)
        .build()
}

/// The same where `null` stands for a text that is not there.
pub fn text_or_null(rule: TextRule, description: &str) -> Object {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    text_builder(rule, description).schema_type(types).build()
}

fn text_builder(rule: TextRule, description: &str) -> ObjectBuilder {
    let any = if rule.multiline { IN_LINES } else { IN_LINE };
    let (least, pattern) = if rule.blank {
        (None, format!("^{any}*$"))
    } else {
        (Some(1), format!("^{any}*{VISIBLE}{any}*$"))
    };
    let rule_in_words = match (rule.multiline, rule.blank) {
        (false, _) => "Not blank, no control characters",
        (true, false) => "Not blank, no control characters but tabs and line breaks",
        (true, true) => "No control characters but tabs and line breaks",
    };
    ObjectBuilder::new()
        .description(Some(format!("{description}. {rule_in_words}.")))
        .min_length(least)
        .max_length(Some(rule.max))
        .pattern(Some(pattern))
}

/// The schemas that several fields refer to.
pub fn shared() -> [(&'static str, Object); 5] {
    let state =
        "Whether the dependency answered within a second; the product service with 2xx or 404.";
    [
        ("DependencyState", one_of(["up", "down"], state)),
        ("UserId", text(USER_ID, "Whose order it is")),
        (
            "ProductId",
            text(PRODUCT_ID, "Known to the product service"),
        ),
        ("Address", text(ADDRESS, "Where something goes")),
        ("Timestamp", timestamp_object()),
    ]
}

pub fn user_id() -> Ref {
    Ref::from_schema_name("UserId")
}

pub fn product_id() -> Ref {
    Ref::from_schema_name("ProductId")
}

pub fn address() -> Ref {
    Ref::from_schema_name("Address")
}

pub fn timestamp() -> Ref {
    Ref::from_schema_name("Timestamp")
}

pub fn billing_address_or_null() -> Schema {
    let schema = AnyOfBuilder::new()
        .item(address())
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some("By default the shipping address."))
        .build();
    Schema::AnyOf(schema)
}

pub fn notes() -> Object {
    text_or_null(NOTES, "Remarks; null if there are none")
}

pub fn quantity() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(QUANTITY_MAX))
        .description(Some("Pieces of the product."))
        .build()
}

pub fn currency() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Z]{3}$"))
        .description(Some("ISO 4217, the same for all items."))
        .build()
}

fn timestamp_object() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"\.[0-9]{6}Z$"))
        .description(Some("RFC 3339, UTC, with microseconds."))
        .build()
}

pub fn expected_total() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([
            Type::Number,
            Type::String,
            Type::Null,
        ]))
        .minimum(Some(0))
        .maximum(Some(Money::MAX.to_string().parse::<f64>().unwrap()))
        .pattern(Some(r"^[0-9]{1,8}(\.[0-9]{1,2})?$"))
        .description(Some(
            "What the client thinks that the order costs; if it costs something else, nothing is \
             stored (409 `price_changed`).",
        ))
        .build()
}

pub fn idempotency_key() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(IDEMPOTENCY_KEY_MAX))
        .pattern(Some("^[!-~]+$"))
        .build()
}

pub fn timestamp_or_null() -> Object {
    let mut schema = timestamp_object();
    schema.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
    schema.description = Some(
        "When the price was seen (RFC 3339, UTC), if it is the last known one; null if it was \
         asked for this order."
            .into(),
    );
    schema
}

pub fn order_items() -> Array {
    items("OrderItem", "In the order in which they were sent.")
}

pub fn lines() -> Array {
    items(
        "LineRequest",
        "What is ordered; a product may come more than once.",
    )
}

fn items(of: &str, description: &str) -> Array {
    ArrayBuilder::new()
        .items(Ref::from_schema_name(of))
        .min_items(Some(1))
        .max_items(Some(ITEMS_MAX))
        .description(Some(description))
        .build()
}

pub fn page_size() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(PAGE_SIZE_MAX))
        .description(Some("Orders of one page at most."))
        .build()
}

pub fn readiness() -> Object {
    one_of(
        ["ready", "degraded"],
        "Whether all dependencies answer; with the cache or the products down, or without keys to \
         verify tokens with, the service is degraded, without the database it answers 503.",
    )
}

pub fn dependency_state() -> Ref {
    Ref::from_schema_name("DependencyState")
}

pub fn breaker_state() -> Object {
    one_of(
        ["closed", "open", "half_open"],
        "Whether this instance asks the product service for prices: not while open, after failures; \
         once while half_open.",
    )
}

pub fn authentication_mode() -> Object {
    one_of(["none", "jwt"], "Whether callers must show tokens.")
}

fn one_of<const N: usize>(values: [&str; N], description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(values))
        .description(Some(description))
        .build()
}
