//! Placing an order: products, then Postgres. The cache is filled by who reads it; few read an
//! order that they have just been shown.

use std::collections::BTreeMap;

use chrono::{SubsecRound as _, Utc};
use uuid::Uuid;

use crate::context::Context;
use crate::db;
use crate::domain::order::OrderDocument;
use crate::domain::placing::OrderRequest;
use crate::domain::pricing;
use crate::error::Error;
use crate::products;
use crate::telemetry::metrics::events;

/// Prices the request and stores the order, in one statement.
pub async fn order_place(context: &Context, request: OrderRequest) -> Result<OrderDocument, Error> {
    // What the products leave of the deadline must do for the database.
    let reserve = context.deadline.left().checked_div(5).unwrap_or_default();
    let ids: Vec<String> = request
        .lines
        .iter()
        .map(|line| line.product_id.clone())
        .collect();
    let found = products::look_up(context, &ids, context.deadline.minus(reserve)).await?;
    let found: BTreeMap<_, _> = found.into_iter().collect();

    // The database keeps microseconds.
    let now = Utc::now().trunc_subsecs(6);
    let order = pricing::price(request, |id| found.get(id), now, Uuid::now_v7)?;
    let document = db::orders::order_insert(context, &order).await?;
    events::order_created();
    let lines = order.order_items.iter();
    events::prices_recalled(lines.filter(|line| line.price_as_of.is_some()).count());
    Ok(document)
}
