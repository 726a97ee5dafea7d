//! Following the change feed: an answer that would be empty is held back until there is something.

use core::time::Duration;

use crate::context::Context;
use crate::db;
use crate::db::events::Page;
use crate::domain::cursor::FeedPosition;
use crate::domain::list::FeedRequest;
use crate::error::Error;
use crate::platform::time::{Deadline, sleep};
use crate::telemetry::metrics;

/// How long between two looks. Counts of changes are in Redis a tenth of a second after them.
const LOOK: Duration = Duration::from_secs(1);

/// A part of the feed as soon as there is one, or an empty one when the wait is over.
pub async fn events_follow(context: &Context, request: FeedRequest) -> Result<Page, Error> {
    let wait_ends = Deadline::after(Duration::from_secs(request.wait_s.into()));
    loop {
        // Read first, so that no change comes between.
        let changes = match request.wait_s {
            0 => None,
            _ => metrics::changes(context).await,
        };
        // What a request may take, it may take after the wait.
        let asking = Context {
            deadline: Deadline::after(context.config.request_timeout),
            ..context.clone()
        };
        let after = request.after.unwrap_or(FeedPosition::START);
        let page = db::events::page(&asking, after, request.limit).await?;
        if page.is_expired && request.after.is_some() {
            return Err(Error::CursorExpired);
        }
        if !page.events.is_empty() || wait_ends.left().is_zero() {
            return Ok(page);
        }
        // Asking Postgres is worth it when something has changed, when the feed holds something
        // back, when Redis cannot tell, and at the end.
        loop {
            sleep(LOOK.min(wait_ends.left())).await;
            if page.is_held_back || wait_ends.left().is_zero() {
                break;
            }
            let now = metrics::changes(context).await;
            if now.is_none() || now != changes {
                break;
            }
        }
    }
}
