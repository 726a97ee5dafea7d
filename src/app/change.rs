//! Changing the status of an order: Postgres, then the cache before the response.

use uuid::Uuid;

use crate::cache;
use crate::context::Context;
use crate::db;
use crate::db::orders::Change;
use crate::domain::order::OrderJson;
use crate::domain::status::Status;
use crate::error::Error;

/// Moves the order to `to`, or leaves it as it is if it is there already.
pub async fn order_change_status(
    context: &Context,
    id: Uuid,
    to: Status,
    reason: Option<String>,
) -> Result<OrderJson, Error> {
    match db::orders::order_change_status(context, id, to, reason).await? {
        None => Err(Error::OrderNotFound),
        Some(Change::Refused(order)) if order.status != to => Err(Error::InvalidTransition {
            from: order.status,
            to,
        }),
        Some(Change::Refused(order) | Change::Made(order)) => {
            let order = OrderJson::try_from(&order)?;
            cache::write_through(context, &order).await;
            Ok(order)
        }
    }
}
