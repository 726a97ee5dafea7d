//! Changing the status of an order: the cache hides it, Postgres changes it, and the cache shows it
//! again before the response.

use futures_util::future::join;
use uuid::Uuid;

use super::read::order_read;
use crate::cache;
use crate::context::Context;
use crate::db;
use crate::domain::order::OrderDocument;
use crate::domain::preconditions::Preconditions;
use crate::domain::status::Status;
use crate::error::Error;
use crate::platform::postgres::DbError;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::TRANSITIONS;

/// Moves the order to `to`, or leaves it as it is if it is there already; only from one of the
/// versions that the client has named, if it has, and from none that it has excluded. With an
/// `owner`, only that user's orders are there.
pub async fn order_change_status(
    context: &Context,
    id: Uuid,
    owner: Option<&str>,
    to: Status,
    reason: Option<String>,
    mut preconditions: Preconditions,
) -> Result<OrderDocument, Error> {
    // A change begins in the cache, and nobody may begin one of another's order.
    if owner.is_some() || preconditions.has_exceptions() {
        let order = order_read(context, id, owner).await?;
        if preconditions.is_known(&order.version.to_string()) {
            return Err(Error::VersionMismatch(order.version));
        }
        preconditions = preconditions.seen_at(order.version);
    }
    let versions = preconditions.versions();
    let entry = cache::begin_change(context, id).await;
    let change = db::orders::order_change_status(context, id, owner, to, reason, versions).await;
    if let Err(Error::Database(DbError::Overloaded)) = change {
        cache::give_up_change(context, &entry).await;
    }
    let change = change?.ok_or(Error::OrderNotFound)?;
    join(
        cache::end_change(context, &change.order, entry),
        db::replica::write_ends(context),
    )
    .await;
    let from = change.from;
    if change.is_made {
        count(&TRANSITIONS, &[from.as_str(), to.as_str()]);
    } else if preconditions.is_refused(change.order.version) {
        return Err(Error::VersionMismatch(change.order.version));
    } else if from != to {
        return Err(Error::InvalidTransition { from, to });
    }
    Ok(change.order)
}
