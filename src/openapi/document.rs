//! The order document, described. The database makes it (`migrations/`); the black-box suite
//! compares the two.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::schemas;
use crate::domain::money::Money;
use crate::domain::order::{rfc_3339, rfc_3339_or_null};
use crate::domain::status::Status;

/// An order with its line items.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub struct Order {
    pub id: Uuid,
    #[schema(schema_with = schemas::user_id)]
    pub user_id: String,
    /// The exact sum of the items' subtotals.
    pub total_amount: Money,
    /// ISO 4217, the same for all items.
    #[schema(schema_with = schemas::currency)]
    pub currency: String,
    #[schema(schema_with = schemas::address)]
    pub shipping_address: String,
    #[schema(schema_with = schemas::address)]
    pub billing_address: String,
    #[schema(schema_with = schemas::notes, required)]
    pub notes: Option<String>,
    /// In the order in which they were sent.
    #[schema(schema_with = schemas::order_items)]
    pub order_items: Vec<OrderItem>,
    #[serde(serialize_with = "rfc_3339")]
    #[schema(schema_with = schemas::timestamp)]
    pub created_at: DateTime<Utc>,
    pub status: Status,
    /// Counts the changes, from 1; also the entity tag.
    #[schema(minimum = 1)]
    pub version: i32,
    #[serde(serialize_with = "rfc_3339")]
    #[schema(schema_with = schemas::timestamp)]
    pub updated_at: DateTime<Utc>,
}

/// A line item: some pieces of one product at the price of the order's creation.
#[derive(Serialize, ToSchema)]
pub struct OrderItem {
    pub id: Uuid,
    pub order_id: Uuid,
    #[schema(schema_with = schemas::product_id)]
    pub product_id: String,
    #[schema(schema_with = schemas::quantity)]
    pub quantity: i32,
    pub unit_price: Money,
    /// `unit_price` times `quantity`.
    pub subtotal: Money,
    /// When the price was seen, if it is the last known one; null if it was asked for this order.
    #[serde(serialize_with = "rfc_3339_or_null")]
    #[schema(schema_with = schemas::timestamp_or_null, required)]
    pub price_as_of: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc_3339")]
    #[schema(schema_with = schemas::timestamp)]
    pub created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc_3339")]
    #[schema(schema_with = schemas::timestamp)]
    pub updated_at: DateTime<Utc>,
}
