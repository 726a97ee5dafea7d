//! Placing an order: products, then Postgres. The cache is filled by who reads it; few read an
//! order that they have just been shown.

use std::collections::BTreeMap;

use chrono::{SubsecRound as _, Utc};
use uuid::Uuid;

use crate::context::Context;
use crate::db;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::order::{Idempotency, Order, OrderDocument};
use crate::domain::placing::OrderRequest;
use crate::domain::pricing;
use crate::error::Error;
use crate::products;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::{CREATED, LAST_KNOWN_PRICES, REPLAYED};

/// An order that has been placed, by this request or by one before with the same key.
#[derive(Debug)]
pub struct Placed {
    /// As it was created.
    pub order: OrderDocument,
    pub is_replay: bool,
}

/// Prices the request and stores the order, in one statement. With a key, an order that was
/// placed with it before is found first: repeating asks nobody and writes nothing.
pub async fn order_place(
    context: &Context,
    request: OrderRequest,
    key: Option<IdempotencyKey>,
) -> Result<Placed, Error> {
    let placed = order_place_once(context, request, key).await?;
    db::replica::write_ends(context).await;
    Ok(placed)
}

async fn order_place_once(
    context: &Context,
    request: OrderRequest,
    key: Option<IdempotencyKey>,
) -> Result<Placed, Error> {
    let user_id = request.user_id.clone();
    let idempotency = match key {
        Some(key) => Some(Idempotency {
            key,
            fingerprint: request.fingerprint()?,
        }),
        None => None,
    };
    if let Some(idempotency) = &idempotency
        && let Some(order) = order_placed_before(context, &user_id, idempotency).await?
    {
        return Ok(replayed(order));
    }
    let expected_total = request.expected_total;
    let mut order = order_price(context, request).await?;
    if expected_total.is_some_and(|expected| expected != order.total_amount) {
        return Err(Error::PriceChanged(serde_json::to_string(&order.prices())?));
    }
    order.idempotency = idempotency;
    if let Some(document) = db::orders::order_insert(context, &order).await? {
        note(&order);
        return Ok(placed(document));
    }
    // Either the statement had been sent before, or another request with this key was quicker.
    let found = match &order.idempotency {
        Some(idempotency) => order_placed_before(context, &user_id, idempotency).await?,
        None => db::orders::order_find(context, order.id, Some(&user_id)).await?,
    };
    match found {
        Some(found) if found.id == order.id => {
            note(&order);
            Ok(placed(found))
        }
        Some(found) => Ok(replayed(found)),
        None => Err(Error::Internal(format!(
            "order {} is neither new nor there",
            order.id
        ))),
    }
}

/// The order that the user has placed with this key, if it was asked for in the same way.
async fn order_placed_before(
    context: &Context,
    user_id: &str,
    idempotency: &Idempotency,
) -> Result<Option<OrderDocument>, Error> {
    match db::orders::order_find_by_key(context, user_id, &idempotency.key).await? {
        Some(found) if found.fingerprint == idempotency.fingerprint => Ok(Some(found.order)),
        Some(_) => Err(Error::IdempotencyKeyReused),
        None => Ok(None),
    }
}

/// Asks for the products and makes an order of the request.
async fn order_price(context: &Context, request: OrderRequest) -> Result<Order, Error> {
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
    Ok(order)
}

fn note(order: &Order) {
    count(&CREATED, &[]);
    let lines = order.order_items.iter();
    for _ in lines.filter(|line| line.price_as_of.is_some()) {
        count(&LAST_KNOWN_PRICES, &[]);
    }
}

fn placed(order: OrderDocument) -> Placed {
    Placed {
        order,
        is_replay: false,
    }
}

fn replayed(order: OrderDocument) -> Placed {
    count(&REPLAYED, &[]);
    Placed {
        order,
        is_replay: true,
    }
}
