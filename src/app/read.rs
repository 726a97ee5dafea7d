//! Reading an order: Redis, then Postgres.

use uuid::Uuid;

use crate::cache;
use crate::context::Context;
use crate::db;
use crate::domain::order::OrderDocument;
use crate::error::Error;

/// The order, from the cache if it is there; otherwise the cache is filled afterwards. With an
/// `owner`, only that user's orders are there. What is another's takes the way of what does not
/// exist, and its time.
pub async fn order_read(
    context: &Context,
    id: Uuid,
    owner: Option<&str>,
) -> Result<OrderDocument, Error> {
    let mut cached = cache::get(context, id, owner).await;
    if let Some(order) = cached.order.take() {
        return Ok(order);
    }
    let order = db::orders::order_find(context, id, owner).await?;
    let order = order.ok_or(Error::OrderNotFound)?;
    cache::fill_later(context, &order, cached);
    Ok(order)
}
