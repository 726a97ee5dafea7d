//! A client's wish for an order: the raw body parsed once into what can be priced.

use serde::Serialize;
use uuid::Uuid;

use super::body::{NotJson, Object, Reader};
use super::bounds::{
    ADDRESS_MAX, ITEMS_MAX, NOTES_MAX, PRODUCT_ID_MAX, QUANTITY_MAX, REASON_MAX, USER_ID_MAX,
};
use super::money::Money;
use super::problem::{Problem, TextRule};
use super::status::Status;
#[cfg(test)]
use crate::openapi::schemas;

pub const USER_ID: TextRule = TextRule::line(USER_ID_MAX);
pub const ADDRESS: TextRule = TextRule::lines(ADDRESS_MAX);
pub const NOTES: TextRule = TextRule::remark(NOTES_MAX);
pub const REASON: TextRule = TextRule::remark(REASON_MAX);
pub const PRODUCT_ID: TextRule = TextRule::line(PRODUCT_ID_MAX);

/// A valid request for an order, not priced yet. How it is serialized decides its fingerprint,
/// which outlives a release: a field that is added must be left out where it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(
    test,
    schema(
        description = "What a client wants to order. A user who shows its token may leave `user_id` out."
    )
)]
pub struct OrderRequest {
    #[cfg_attr(test, schema(schema_with = schemas::user_id))]
    pub user_id: String,
    #[cfg_attr(test, schema(schema_with = schemas::address))]
    pub shipping_address: String,
    #[cfg_attr(test, schema(schema_with = schemas::billing_address_or_null, required = false))]
    pub billing_address: String,
    #[cfg_attr(test, schema(schema_with = schemas::notes, required = false))]
    pub notes: Option<String>,
    /// At least one.
    #[cfg_attr(test, schema(rename = "order_items", schema_with = schemas::lines))]
    pub lines: Vec<LineRequest>,
    /// What the client thinks that the order costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(schema_with = schemas::expected_total, required = false))]
    pub expected_total: Option<Money>,
}

/// Some pieces of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct LineRequest {
    #[cfg_attr(test, schema(schema_with = schemas::product_id))]
    pub product_id: String,
    #[cfg_attr(test, schema(schema_with = schemas::quantity))]
    pub quantity: i32,
}

/// Why a body was refused.
#[derive(Debug)]
pub enum BadBody {
    NotJson(NotJson),
    Invalid(Vec<Problem>),
}

impl From<NotJson> for BadBody {
    fn from(error: NotJson) -> Self {
        Self::NotJson(error)
    }
}

/// Turns what was read into a value, or reports all problems.
fn complete<T>(reader: Reader<'_>, value: Option<T>) -> Result<T, BadBody> {
    let problems = reader.finish();
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(BadBody::Invalid(problems)),
    }
}

impl OrderRequest {
    /// Reads the body of `POST /api/orders`. Where the caller is a user, the body need not name
    /// one.
    pub fn parse(body: &str, caller: Option<&str>) -> Result<Self, BadBody> {
        let (mut reader, object) = Reader::open(body)?;
        let user_id = match caller {
            None => object.required_text("user_id", USER_ID, &mut reader)?,
            Some(caller) => {
                let user_id = object.optional_text("user_id", USER_ID, &mut reader)?;
                user_id.or_else(|| Some(caller.to_owned()))
            }
        };
        let shipping = object.required_text("shipping_address", ADDRESS, &mut reader)?;
        let billing = object.optional_text("billing_address", ADDRESS, &mut reader)?;
        let notes = object.optional_text("notes", NOTES, &mut reader)?;
        let lines = Self::parse_lines(&object, &mut reader)?;
        let expected_total = object.optional_money("expected_total", &mut reader);
        let request = user_id
            .zip(shipping)
            .map(|(user_id, shipping_address)| Self {
                user_id,
                billing_address: billing.unwrap_or_else(|| shipping_address.clone()),
                shipping_address,
                notes,
                lines,
                expected_total,
            });
        complete(reader, request)
    }

    /// The same for requests that ask for the same order.
    pub fn fingerprint(&self) -> Result<Uuid, serde_json::Error> {
        let text = serde_json::to_vec(self)?;
        Ok(Uuid::new_v5(&Uuid::NAMESPACE_OID, &text))
    }

    fn parse_lines<'a>(
        object: &Object<'a>,
        reader: &mut Reader<'a>,
    ) -> Result<Vec<LineRequest>, NotJson> {
        let mut lines = Vec::new();
        for (raw, pointer) in object.required_array("order_items", ITEMS_MAX, reader)? {
            let Some(line) = reader.object(raw, pointer)? else {
                continue;
            };
            let product_id = line.required_text("product_id", PRODUCT_ID, reader)?;
            let quantity = line.required_count("quantity", QUANTITY_MAX, reader);
            if let (Some(product_id), Some(quantity)) = (product_id, quantity) {
                lines.push(LineRequest {
                    product_id,
                    quantity,
                });
            }
        }
        Ok(lines)
    }
}

/// Reads the body of `PATCH /api/orders/{id}/status`.
pub fn parse_status(body: &str) -> Result<Status, BadBody> {
    let (mut reader, object) = Reader::open(body)?;
    let status = object.required("status", &mut reader);
    let status = match status {
        Some((raw, pointer)) if raw.get().starts_with('"') => {
            let text: String = serde_json::from_str(raw.get()).map_err(NotJson::from)?;
            let status = text.parse().ok();
            if status.is_none() {
                let names = Status::ALL.map(Status::as_str).join(", ");
                reader.report(
                    raw,
                    &pointer,
                    "unknown_status",
                    format!("must be one of {names}"),
                );
            }
            status
        }
        Some((raw, pointer)) => {
            reader.report(raw, &pointer, "wrong_type", "must be a string".into());
            None
        }
        None => None,
    };
    complete(reader, status)
}

/// Reads the optional body of `POST /api/orders/{id}/cancel`: the reason, if one is given.
pub fn parse_reason(body: &str) -> Result<Option<String>, BadBody> {
    let (mut reader, object) = Reader::open(body)?;
    let reason = object.optional_text("reason", REASON, &mut reader)?;
    complete(reader, Some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(body: &str) -> Vec<String> {
        match OrderRequest::parse(body, None) {
            Err(BadBody::Invalid(problems)) => problems
                .into_iter()
                .map(|problem| format!("{} {}", problem.pointer, problem.code))
                .collect(),
            Err(BadBody::NotJson(error)) => vec![error.to_string()],
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn all_problems_are_reported_in_document_order() {
        let body = r#"{"order_items":[{"quantity":0,"product_id":" "},{"product_id":"p"}],
                       "notes":7,"user_id":""}"#;
        assert_eq!(
            problems(body),
            [
                "/order_items/0/quantity out_of_range",
                "/order_items/0/product_id blank",
                "/order_items/1/quantity required",
                "/notes wrong_type",
                "/user_id blank",
                "/shipping_address required",
            ]
        );
    }

    #[test]
    fn the_billing_address_defaults_to_the_shipping_address() {
        let body = r#"{"user_id":"u","shipping_address":"s",
                       "order_items":[{"product_id":"p","quantity":2.0}]}"#;
        let request = OrderRequest::parse(body, None).ok();
        assert_eq!(request.map(|r| r.billing_address).as_deref(), Some("s"));
    }

    #[test]
    fn a_fingerprint_outlives_a_release() {
        let fingerprint = |body: &str| {
            let request = OrderRequest::parse(body, None).ok();
            request.and_then(|request| request.fingerprint().ok())
        };
        let first = r#"{"user_id":"u","shipping_address":"s","colour":"green",
                        "order_items":[{"product_id":"p","quantity":2}]}"#;
        let same = r#"{"order_items":[{"quantity":2.0,"product_id":"p"}],
                       "shipping_address":"s","billing_address":"s","user_id":"u"}"#;
        let other = r#"{"order_items":[{"quantity":3,"product_id":"p"}],
                        "shipping_address":"s","user_id":"u"}"#;
        let expected = "1ccf49f1-c4db-5237-85f4-511632db933c".parse().ok();
        assert_eq!(fingerprint(first), expected);
        assert_eq!(fingerprint(same), expected);
        assert_ne!(fingerprint(other), expected);
    }

    #[test]
    fn what_the_client_expects_to_pay_is_exact() {
        let total = |total: &str| {
            problems(&format!(
                r#"{{"user_id":"u","shipping_address":"s","expected_total":{total},
                     "order_items":[{{"product_id":"p","quantity":2}}]}}"#
            ))
        };
        for right in ["59.98", "\"59.98\"", "60", "0.10", "null"] {
            assert_eq!(total(right), [""; 0], "{right}");
        }
        for wrong in ["59.981", "-1", "\"x\"", "true", "[]", "\"\""] {
            let expected = ["/expected_total invalid_amount"];
            assert_eq!(total(wrong), expected, "{wrong}");
        }
        assert_eq!(total("1e11"), ["/expected_total invalid_amount"]);
    }

    #[test]
    fn a_caller_that_is_a_user_need_not_be_named() {
        let body = |user: &str| {
            format!(
                r#"{{{user}"shipping_address":"s","order_items":[{{"product_id":"p","quantity":1}}]}}"#
            )
        };
        let user_id = |body: &str| OrderRequest::parse(body, Some("me")).map(|r| r.user_id);
        assert_eq!(user_id(&body("")).ok().as_deref(), Some("me"));
        assert_eq!(
            user_id(&body(r#""user_id":"you","#)).ok().as_deref(),
            Some("you")
        );
        assert!(user_id(&body(r#""user_id":7,"#)).is_err());
        assert_eq!(problems(&body("")), ["/user_id required"]);
    }

    #[test]
    fn a_value_that_is_no_object_has_one_problem() {
        assert_eq!(problems("[]"), [" wrong_type"]);
    }
}
