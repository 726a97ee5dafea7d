//! An order, as far as it is decided here, and its document, which the database makes.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::idempotency::IdempotencyKey;
use super::money::Money;

/// A priced order that is to be stored. Its names are those of the tables' columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    pub id: Uuid,
    pub user_id: String,
    /// The exact sum of the items' subtotals.
    pub total_amount: Money,
    /// ISO 4217, the same for all items.
    pub currency: String,
    pub shipping_address: String,
    pub billing_address: String,
    pub notes: Option<String>,
    /// In the order in which they were sent.
    pub order_items: Vec<OrderItem>,
    #[serde(serialize_with = "rfc_3339")]
    pub created_at: DateTime<Utc>,
    #[serde(flatten)]
    pub idempotency: Option<Idempotency>,
}

/// What an order would cost.
#[derive(Debug, Serialize)]
pub struct Prices<'a> {
    total_amount: Money,
    currency: &'a str,
    order_items: Vec<PricedLine<'a>>,
}

#[derive(Debug, Serialize)]
struct PricedLine<'a> {
    product_id: &'a str,
    quantity: i32,
    unit_price: Money,
    subtotal: Money,
    #[serde(serialize_with = "rfc_3339_or_null")]
    price_as_of: Option<DateTime<Utc>>,
}

impl Order {
    /// What a client is told who expected another total.
    pub fn prices(&self) -> Prices<'_> {
        let lines = self.order_items.iter().map(|item| PricedLine {
            product_id: &item.product_id,
            quantity: item.quantity,
            unit_price: item.unit_price,
            subtotal: item.subtotal,
            price_as_of: item.price_as_of,
        });
        Prices {
            total_amount: self.total_amount,
            currency: &self.currency,
            order_items: lines.collect(),
        }
    }
}

/// What tells a repetition of a creation from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Idempotency {
    #[serde(rename = "idempotency_key")]
    pub key: IdempotencyKey,
    /// Of the request that the key was sent with.
    pub fingerprint: Uuid,
}

/// A line item: some pieces of one product at the price of the order's creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderItem {
    pub id: Uuid,
    pub product_id: String,
    pub quantity: i32,
    pub unit_price: Money,
    /// `unit_price` times `quantity`.
    pub subtotal: Money,
    /// When the price was seen, if it is the last known one; `None` if it was asked for this order.
    #[serde(serialize_with = "rfc_3339_or_null")]
    pub price_as_of: Option<DateTime<Utc>>,
}

/// An order as clients, the cache and the database know it: JSON text, which is passed on as it
/// is. The database makes it (`order_document` in `migrations/`).
#[derive(Debug, Clone)]
pub struct OrderDocument {
    pub id: Uuid,
    /// Counts the changes, from 1; also the entity tag.
    pub version: i32,
    pub json: String,
}

impl OrderDocument {
    /// The part that changes: status, version and the moment of the last change. It is the end
    /// of the document; a text inside would have its quotation marks escaped.
    pub fn head(&self) -> Option<&str> {
        let start = self.json.rfind(r#","status":""#)?;
        self.json.get(start..)
    }
}

/// UTC with microseconds, the precision of the database.
pub fn rfc_3339<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

pub fn rfc_3339_or_null<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc_3339(at, serializer),
        None => serializer.serialize_none(),
    }
}
