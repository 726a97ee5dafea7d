//! Changing the status of an order: Postgres, then the cache before the response.

use uuid::Uuid;

use crate::cache;
use crate::context::Context;
use crate::db;
use crate::db::orders::Change;
use crate::domain::order::OrderJson;
use crate::domain::status::Status;
use crate::error::Error;
use crate::telemetry::metrics::events;

/// Moves the order to `to`, or leaves it as it is if it is there already.
pub async fn order_change_status(
    context: &Context,
    id: Uuid,
    to: Status,
    reason: Option<String>,
) -> Result<OrderJson, Error> {
    let order = match db::orders::order_change_status(context, id, to, reason).await? {
        None => return Err(Error::OrderNotFound),
        Some(Change::Made { from, order }) => {
            events::status_changed(from, to);
            order
        }
        Some(Change::Refused(order)) if order.status == to => order,
        Some(Change::Refused(order)) => {
            return Err(Error::InvalidTransition {
                from: order.status,
                to,
            });
        }
    };
    let order = OrderJson::try_from(&order)?;
    cache::write_through(context, &order).await;
    Ok(order)
}
