//! `/api/events`: the change feed.

use axum::response::Response;

use super::envelope;
use super::extract::Query;
use crate::app;
use crate::context::Context;
use crate::domain::list::FeedRequest;
use crate::error::Error;

pub async fn event_list(context: Context, query: Query) -> Result<Response, Error> {
    let request = FeedRequest::parse(&query.0)?;
    let page = app::follow::events_follow(&context, request).await?;
    Ok(envelope::events(&page.events, &page.next.encode()))
}
