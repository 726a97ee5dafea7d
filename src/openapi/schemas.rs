//! The schemas: derived from the types, with the bounds that validate.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{
    Array, ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{ComponentsBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::bounds::{
    EVENTS_MAX, IDEMPOTENCY_KEY_MAX, ITEMS_MAX, PAGE_SIZE_MAX, QUANTITY_MAX,
};
use crate::domain::money::Money;
use crate::domain::placing::{
    ADDRESS, LineRequest, NOTES, OrderRequest, PRODUCT_ID, REASON, USER_ID,
};
use crate::domain::problem::{Problem, TextRule};
use crate::domain::status::Status;
use crate::http::envelope::Pagination;
use crate::http::health::{Authentication, Dependency, Health, Products, Readiness};
use crate::openapi::document::{Order, OrderItem};

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
    schemas.insert("StatusChange".into(), status_change());
    schemas.insert("Cancellation".into(), cancellation());
    schemas.insert("Error".into(), error());
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
            "type": { "type": "string", "enum": ["order.created", "order.status_changed"] },
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

fn error() -> Value {
    json!({
        "type": "object",
        "description": "The envelope of every error.",
        "required": ["status", "code", "message", "request_id"],
        "properties": {
            "status": { "const": "error" },
            "code": {
                "type": "string",
                "pattern": "^[a-z]+(_[a-z]+)*$",
                "description": "What went wrong, for a program.",
            },
            "message": { "type": "string", "description": "What went wrong, for a person." },
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": reference("Problem"),
                "description": "Everything that is wrong with the request, in its order; absent if \
                                no single field is to blame.",
            },
            "data": {
                "type": "object",
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
pub fn text(rule: TextRule, description: &str) -> Object {
    text_builder(rule, description)
        .schema_type(Type::String)
        .build()
}

/// The same where `null` stands for a text that is not there.
fn text_or_null(rule: TextRule, description: &str) -> Object {
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

pub fn user_id() -> Object {
    text(USER_ID, "Whose order it is")
}

pub fn product_id() -> Object {
    text(PRODUCT_ID, "The product's id at the product service")
}

pub fn shipping_address() -> Object {
    text(ADDRESS, "Where the order goes")
}

pub fn billing_address() -> Object {
    text(ADDRESS, "Where the bill goes")
}

pub fn billing_address_or_null() -> Object {
    text_or_null(
        ADDRESS,
        "Where the bill goes; by default to the shipping address",
    )
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

pub fn timestamp() -> Object {
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
    let mut schema = timestamp();
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
        "Whether all dependencies answer; with the cache or the products down, the service is \
         degraded, without the database it answers 503.",
    )
}

pub fn dependency_state() -> Object {
    one_of(
        ["up", "down"],
        "Whether the dependency answered within a second.",
    )
}

pub fn products_state() -> Object {
    one_of(
        ["up", "down"],
        "Whether the health check of the product service answered within a second, with 2xx or \
         404.",
    )
}

pub fn breaker_state() -> Object {
    one_of(
        ["closed", "open", "half_open"],
        "Whether the instance that answers asks the product service for prices: closed if it \
         does, open if not, because that has just failed, half_open if it is about to try again.",
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
