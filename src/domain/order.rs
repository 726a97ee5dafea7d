//! The order document, as clients, the cache and the database know it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::money::Money;
use super::status::Status;
#[cfg(test)]
use crate::openapi::schemas;

/// An order with its line items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Order {
    pub id: Uuid,
    #[cfg_attr(test, schema(schema_with = schemas::user_id))]
    pub user_id: String,
    pub status: Status,
    /// The exact sum of the items' subtotals.
    pub total_amount: Money,
    /// ISO 4217, the same for all items.
    #[cfg_attr(test, schema(schema_with = schemas::currency))]
    pub currency: String,
    #[cfg_attr(test, schema(schema_with = schemas::shipping_address))]
    pub shipping_address: String,
    #[cfg_attr(test, schema(schema_with = schemas::billing_address))]
    pub billing_address: String,
    #[cfg_attr(test, schema(schema_with = schemas::notes, required))]
    pub notes: Option<String>,
    /// In the order in which they were sent.
    #[cfg_attr(test, schema(schema_with = schemas::order_items))]
    pub order_items: Vec<OrderItem>,
    /// Counts the changes, from 1; also the entity tag.
    #[cfg_attr(test, schema(minimum = 1))]
    pub version: i32,
    #[serde(serialize_with = "rfc_3339")]
    #[cfg_attr(test, schema(schema_with = schemas::timestamp))]
    pub created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc_3339")]
    #[cfg_attr(test, schema(schema_with = schemas::timestamp))]
    pub updated_at: DateTime<Utc>,
}

/// A line item: some pieces of one product at the price of the order's creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct OrderItem {
    pub id: Uuid,
    pub order_id: Uuid,
    #[cfg_attr(test, schema(schema_with = schemas::product_id))]
    pub product_id: String,
    #[cfg_attr(test, schema(schema_with = schemas::quantity))]
    pub quantity: i32,
    pub unit_price: Money,
    /// `unit_price` times `quantity`.
    pub subtotal: Money,
    /// When the price was seen, if it is the last known one; null if it was asked for this order.
    #[serde(serialize_with = "rfc_3339_or_null")]
    #[cfg_attr(test, schema(schema_with = schemas::timestamp_or_null, required))]
    pub price_as_of: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc_3339")]
    #[cfg_attr(test, schema(schema_with = schemas::timestamp))]
    pub created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc_3339")]
    #[cfg_attr(test, schema(schema_with = schemas::timestamp))]
    pub updated_at: DateTime<Utc>,
}

/// An order as JSON text, with its id and version: what the cache keeps and responses carry.
#[derive(Debug, Clone)]
pub struct OrderJson {
    pub id: Uuid,
    pub version: i32,
    pub json: Box<RawValue>,
}

impl TryFrom<&Order> for OrderJson {
    type Error = serde_json::Error;

    fn try_from(order: &Order) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: order.id,
            version: order.version,
            json: serde_json::value::to_raw_value(order)?,
        })
    }
}

/// UTC with microseconds, the precision of the database.
fn rfc_3339<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn rfc_3339_or_null<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc_3339(at, serializer),
        None => serializer.serialize_none(),
    }
}
