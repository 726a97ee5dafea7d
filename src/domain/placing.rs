//! A client's wish for an order: the raw body parsed once into what can be priced.

use super::body::{NotJson, Object, Reader};
use super::bounds::{
    ADDRESS_MAX, ITEMS_MAX, NOTES_MAX, PRODUCT_ID_MAX, QUANTITY_MAX, REASON_MAX, USER_ID_MAX,
};
use super::problem::{Problem, TextRule};
use super::status::Status;
#[cfg(test)]
use crate::openapi::schemas;

pub const USER_ID: TextRule = TextRule::line(USER_ID_MAX);
pub const ADDRESS: TextRule = TextRule::lines(ADDRESS_MAX);
pub const NOTES: TextRule = TextRule::remark(NOTES_MAX);
pub const REASON: TextRule = TextRule::remark(REASON_MAX);
pub const PRODUCT_ID: TextRule = TextRule::line(PRODUCT_ID_MAX);

/// A valid request for an order, not priced yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct OrderRequest {
    #[cfg_attr(test, schema(schema_with = schemas::user_id))]
    pub user_id: String,
    #[cfg_attr(test, schema(schema_with = schemas::shipping_address))]
    pub shipping_address: String,
    #[cfg_attr(test, schema(schema_with = schemas::billing_address_or_null, required = false))]
    pub billing_address: String,
    #[cfg_attr(test, schema(schema_with = schemas::notes, required = false))]
    pub notes: Option<String>,
    /// At least one.
    #[cfg_attr(test, schema(rename = "order_items", schema_with = schemas::lines))]
    pub lines: Vec<LineRequest>,
}

/// Some pieces of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Reads the body of `POST /api/orders`.
    pub fn parse(body: &str) -> Result<Self, BadBody> {
        let (mut reader, object) = Reader::open(body)?;
        let user_id = object.required_text("user_id", USER_ID, &mut reader)?;
        let shipping = object.required_text("shipping_address", ADDRESS, &mut reader)?;
        let billing = object.optional_text("billing_address", ADDRESS, &mut reader)?;
        let notes = object.optional_text("notes", NOTES, &mut reader)?;
        let lines = Self::parse_lines(&object, &mut reader)?;
        let request = user_id
            .zip(shipping)
            .map(|(user_id, shipping_address)| Self {
                user_id,
                billing_address: billing.unwrap_or_else(|| shipping_address.clone()),
                shipping_address,
                notes,
                lines,
            });
        complete(reader, request)
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
        match OrderRequest::parse(body) {
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
        let request = OrderRequest::parse(body).ok();
        assert_eq!(request.map(|r| r.billing_address).as_deref(), Some("s"));
    }

    #[test]
    fn a_value_that_is_no_object_has_one_problem() {
        assert_eq!(problems("[]"), [" wrong_type"]);
    }
}
