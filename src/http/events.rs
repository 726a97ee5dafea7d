//! `/api/events`: the change feed.

use axum::response::Response;

use super::envelope;
use super::extract::Query;
use crate::app;
use crate::auth::Caller;
use crate::context::Context;
use crate::domain::list::FeedRequest;
use crate::error::Error;

/// For staff alone, or for everybody: the guard has seen to it.
pub async fn event_list(context: Context, _: Caller, query: Query) -> Result<Response, Error> {
    let request = FeedRequest::parse(&query.0)?;
    let page = app::follow::events_follow(&context, request).await?;
    Ok(envelope::events(&page.events, &page.next.encode()))
}
