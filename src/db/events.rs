//! The statements on events: an order's history, and the change feed.

use uuid::Uuid;

use super::gate::run;
use crate::context::Context;
use crate::domain::cursor::FeedPosition;
use crate::error::Error;
use crate::platform::postgres::{DbError, Row, Until};

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
    /// Behind the last event; of an empty page, where it began, or behind what was taken out.
    pub next: FeedPosition,
    /// Whether there are events that a transaction under way still keeps from being shown.
    pub is_held_back: bool,
    /// Whether events behind the place that was asked for have been taken out of the feed.
    pub is_expired: bool,
}

/// How many bytes the orders of a page may have before its last event: an instance has 64 MiB for
/// all its requests, and an order of a hundred lines has up to 48 kB.
const PAGE_MAX_BYTES: i64 = 1 << 20;

/// The events behind a place, `limit` at most. Only what no transaction under way can still
/// precede is shown, so that a reader who goes on from there misses nothing.
pub async fn page(context: &Context, after: FeedPosition, limit: u32) -> Result<Page, Error> {
    let statement = "
        with feed as materialized (
            select order_feed_end() as ends_before, trimmed_position, trimmed_number
            from order_feed
        ), next as (
            select e as event, coalesce(o.body, order_body_of(o.id)) as body, e.position, e.number
            from order_events as e join orders as o on o.id = e.order_id
            where (e.position, e.number) > ($1::bigint, $2::bigint)
                  and e.position < (select ends_before from feed)
            order by e.position, e.number limit $3::bigint
        ), sized as (
            select *, sum(octet_length(body)) over (
                order by position, number rows between unbounded preceding and 1 preceding) as before
            from next
        ), page as materialized (
            select * from sized where coalesce(before, 0) <= $4::bigint
        )
        select (select string_agg(order_event(event, body), ',' order by position, number)
                from page),
               (select array[position, number] from page order by position desc, number desc limit 1),
               exists (select from order_events where position >= (select ends_before from feed)),
               array[trimmed_position, trimmed_number]
        from feed";
    let params = vec![
        after.position.into(),
        after.number.into(),
        i64::from(limit).into(),
        PAGE_MAX_BYTES.into(),
    ];
    let row = run(context, statement, params, Until::Row).await?;
    let mut row = row.ok_or_else(|| DbError::Unexpected("there is no feed".into()))?;
    let trimmed = place(&row, 3)?.unwrap_or(FeedPosition::START);
    Ok(Page {
        events: row.take_text(0)?.unwrap_or_default(),
        next: place(&row, 1)?.unwrap_or_else(|| after.max(trimmed)),
        is_held_back: row.get(2)?,
        is_expired: trimmed > after,
    })
}

fn place(row: &Row, index: usize) -> Result<Option<FeedPosition>, DbError> {
    let place: Vec<i64> = row.get_array(index)?;
    Ok(match place.as_slice() {
        &[position, number] => Some(FeedPosition { position, number }),
        _ => None,
    })
}
