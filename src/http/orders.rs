//! `/api/orders`: thin handlers that extract, call and respond.

use axum::extract::RawQuery;
use axum::response::Response;
use http::StatusCode;

use super::envelope;
use super::extract::{JsonText, Key, OrderId};
use super::page;
use crate::app;
use crate::auth::Caller;
use crate::context::Context;
use crate::db;
use crate::domain::list::ListRequest;
use crate::domain::placing::{OrderRequest, parse_reason, parse_status};
use crate::domain::preconditions::Preconditions;
use crate::domain::status::Status;
use crate::error::Error;

pub async fn order_create(
    context: Context,
    caller: Caller,
    key: Key,
    body: JsonText,
) -> Result<Response, Error> {
    let request = OrderRequest::parse(&body.0, caller.user())?;
    if !caller.reaches(&request.user_id) {
        return Err(Error::Forbidden);
    }
    let placed = app::place::order_place(&context, request, key.0).await?;
    envelope::created(&placed)
}

/// For staff alone, or for everybody: the guard has seen to it.
pub async fn order_list(
    context: Context,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let request = ListRequest::parse(query.as_deref().unwrap_or_default(), None)?;
    let query = request.filter.to_query();
    page::respond(&context, &request, "/api/orders", &query).await
}

pub async fn order_get(
    context: Context,
    caller: Caller,
    id: OrderId,
    preconditions: Preconditions,
) -> Result<Response, Error> {
    let order = app::read::order_read(&context, id.0, caller.owner()).await?;
    if preconditions.is_refused(order.version) {
        return Err(Error::VersionMismatch(order.version));
    }
    if preconditions.is_known(&order.version.to_string()) {
        return envelope::not_modified(&order);
    }
    envelope::order(StatusCode::OK, None, &order)
}

pub async fn order_history(
    context: Context,
    caller: Caller,
    id: OrderId,
) -> Result<Response, Error> {
    let history = db::events::history(&context, id.0, caller.owner()).await?;
    Ok(envelope::list(&history.ok_or(Error::OrderNotFound)?))
}

pub async fn order_status_change(
    context: Context,
    caller: Caller,
    id: OrderId,
    preconditions: Preconditions,
    body: JsonText,
) -> Result<Response, Error> {
    if caller.may_only_see() {
        app::read::order_read(&context, id.0, caller.owner()).await?;
        return Err(Error::Forbidden);
    }
    let (owner, to) = (caller.owner(), parse_status(&body.0)?);
    let order = app::change::order_change_status(&context, id.0, owner, to, None, preconditions);
    let order = order.await?;
    let message = Some("Order status updated successfully");
    envelope::order(StatusCode::OK, message, &order)
}

pub async fn order_cancel(
    context: Context,
    caller: Caller,
    id: OrderId,
    preconditions: Preconditions,
    body: JsonText,
) -> Result<Response, Error> {
    let reason = match body.0.as_str() {
        "" => None,
        body => parse_reason(body)?,
    };
    let (owner, to) = (caller.owner(), Status::Cancelled);
    let order = app::change::order_change_status(&context, id.0, owner, to, reason, preconditions);
    let order = order.await.map_err(|error| match error {
        Error::InvalidTransition { from, .. } => Error::NotCancellable(from),
        error => error,
    })?;
    envelope::order(StatusCode::OK, Some("Order cancelled successfully"), &order)
}
