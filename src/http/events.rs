//! `/api/events`: the change feed.

use axum::extract::RawQuery;
use axum::response::Response;

use super::envelope;
use crate::app;
use crate::auth::Caller;
use crate::context::Context;
use crate::domain::list::FeedRequest;
use crate::error::Error;

/// For staff alone, or for everybody: the guard has seen to it.
pub async fn event_list(
    context: Context,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let request = FeedRequest::parse(query.as_deref().unwrap_or_default())?;
    let page = app::follow::events_follow(&context, request).await?;
    Ok(envelope::events(&page.events, &page.next.encode()))
}
