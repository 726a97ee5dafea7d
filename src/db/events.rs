//! The statements on events: an order's history, and the change feed.

use uuid::Uuid;

use super::gate::run;
use crate::context::Context;
use crate::domain::cursor::FeedPosition;
use crate::error::Error;
use crate::platform::postgres::{DbError, Until};

/// The order's changes as JSON with commas between them, oldest first; `None` if there is no such
/// order or, with an `owner`, if it is not that user's.
pub async fn history(
    context: &Context,
    order_id: Uuid,
    owner: Option<&str>,
) -> Result<Option<String>, Error> {
    let statement = "
        select (select string_agg(
                    '{\"sequence\":' || sequence
                    || ',\"from\":' || coalesce('\"' || from_status || '\"', 'null')
                    || ',\"to\":\"' || to_status
                    || '\",\"reason\":' || coalesce(to_json(reason::text)::text, 'null')
                    || ',\"at\":\"' || order_moment(created_at) || '\"}',
                    ',' order by sequence)
                from order_events where order_id = o.id)
        from orders as o where id = $1::uuid and ($2::text is null or user_id = $2::text)";
    let params = vec![order_id.into(), owner.into()];
    let Some(mut row) = run(context, statement, params, Until::Row).await? else {
        return Ok(None);
    };
    Ok(Some(row.take_text(0)?.unwrap_or_default()))
}

/// A part of the change feed.
#[derive(Debug)]
pub struct Page {
    /// JSON with commas between the events.
    pub events: String,
    /// Behind the last event of the page; where it began, if it has none.
    pub next: FeedPosition,
    /// Whether there are events that a transaction under way still keeps from being shown.
    pub is_held_back: bool,
    /// Whether events behind the place that was asked for have been taken out of the feed.
    pub is_expired: bool,
}

/// The events behind a place, `limit` at most. Only what no transaction under way can still
/// precede is shown, so that a reader who goes on from there misses nothing.
pub async fn page(context: &Context, after: FeedPosition, limit: u32) -> Result<Page, Error> {
    let statement = "
        with feed as materialized (
            select order_feed_end() as ends_before, trimmed_position, trimmed_number
            from order_feed
        ), page as materialized (
            select e as event, o.body, e.position, e.number
            from order_events as e join orders as o on o.id = e.order_id
            where (e.position, e.number) > ($1::bigint, $2::bigint)
                  and e.position < (select ends_before from feed)
            order by e.position, e.number limit $3::bigint
        )
        select (select string_agg(order_event(event, body), ',' order by position, number)
                from page),
               (select array[position, number] from page order by position desc, number desc limit 1),
               exists (select from order_events where position >= (select ends_before from feed)),
               (trimmed_position, trimmed_number) > ($1::bigint, $2::bigint)
        from feed";
    let params = vec![
        after.position.into(),
        after.number.into(),
        i64::from(limit).into(),
    ];
    let row = run(context, statement, params, Until::Row).await?;
    let mut row = row.ok_or_else(|| DbError::Unexpected("there is no feed".into()))?;
    let last: Vec<i64> = row.get_array(1)?;
    Ok(Page {
        events: row.take_text(0)?.unwrap_or_default(),
        next: match last.as_slice() {
            &[position, number] => FeedPosition { position, number },
            _ => after,
        },
        is_held_back: row.get(2)?,
        is_expired: row.get(3)?,
    })
}
