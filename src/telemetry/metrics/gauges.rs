//! What Postgres knows at the moment of a scrape.

use core::time::Duration;

use crate::context::Context;
use crate::domain::status::Status;
use crate::platform::postgres::{DbError, query};

/// How long a scrape waits for Postgres.
const LIMIT: Duration = Duration::from_secs(2);

/// Orders whose totals are checked at each scrape: the newest, so that it stays cheap.
pub const CHECKED_ORDERS: i64 = 1000;

/// Users whose total is checked at each scrape, those of the newest orders, unless they have more
/// orders than that.
pub const CHECKED_USERS: i64 = 10;
pub const CHECKED_ORDERS_OF_USER: i64 = 500;

/// The state of the orders and of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges {
    /// Of [`Status::ALL`], in that order.
    pub orders: Vec<i64>,
    /// In seconds; 0 if no order is pending.
    pub oldest_pending_age_s: i64,
    pub total_mismatches: i64,
    pub count_mismatches: i64,
    /// How long the first event that the feed holds back has been there, in seconds.
    pub feed_lag_s: i64,
    /// Since the last run of the archive has ended, in seconds; 0 if there was none.
    pub archive_age_s: i64,
    pub connections: i64,
}

/// Reads the gauges in one statement. What is new or may change is not in the archive.
pub async fn read(context: &Context) -> Result<Gauges, DbError> {
    let statement = "
        select array(select coalesce(sum(count), 0)::bigint
                     from unnest($1::text[]) with ordinality as wanted (status, place)
                     left join order_counts using (status)
                     group by place order by place),
               coalesce((select extract(epoch from now() - min(created_at))::bigint
                         from only orders where status = 'pending'), 0),
               (select count(*)
                from (select id, total_amount from only orders
                      order by created_at desc, id desc limit $2::bigint) as o
                where total_amount is distinct from
                      (select sum(subtotal) from only order_items where order_id = o.id)),
               (select count(*)
                from (select user_id, sum(count) as count from user_order_counts
                      where user_id in (select user_id from (
                          select user_id from only orders
                          order by created_at desc, id desc limit $3::bigint) as newest)
                      group by user_id having sum(count) <= $4::bigint) as counted
                where count <> (select count(*) from orders where user_id = counted.user_id)),
               coalesce((select extract(epoch from now() - created_at)::bigint
                         from only order_events where position >= order_feed_end()
                         order by position, number limit 1), 0),
               (select coalesce(extract(epoch from now() - ended_at)::bigint, 0)
                from order_archive),
               (select count(*) from pg_stat_activity
                where datname = current_database() and usename = current_user)";
    let statuses = Status::ALL.map(|status| status.to_string()).to_vec();
    let params = vec![
        statuses.into(),
        CHECKED_ORDERS.into(),
        CHECKED_USERS.into(),
        CHECKED_ORDERS_OF_USER.into(),
    ];
    let deadline = context.deadline.at_most(LIMIT);
    let rows = query(&context.config.database_url, statement, params, deadline).await?;
    let row = rows.first();
    let row = row.ok_or_else(|| DbError::Unexpected("no row of gauges".into()))?;
    Ok(Gauges {
        orders: row.get_array(0)?,
        oldest_pending_age_s: row.get::<i64>(1)?.max(0),
        total_mismatches: row.get(2)?,
        count_mismatches: row.get(3)?,
        feed_lag_s: row.get::<i64>(4)?.max(0),
        archive_age_s: row.get::<i64>(5)?.max(0),
        connections: row.get(6)?,
    })
}
