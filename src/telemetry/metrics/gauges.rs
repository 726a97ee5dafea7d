//! What Postgres knows at the moment of a scrape.

use core::time::Duration;

use crate::context::Context;
use crate::domain::status::Status;
use crate::platform::postgres::{DbError, query};

/// How long a scrape waits for Postgres.
const LIMIT: Duration = Duration::from_secs(2);

/// Orders whose totals are checked at each scrape: the newest, so that it stays cheap.
pub const CHECKED_ORDERS: i64 = 1000;

/// The state of the orders and of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges {
    /// Of [`Status::ALL`], in that order.
    pub orders: Vec<i64>,
    /// In seconds; 0 if no order is pending.
    pub oldest_pending_age_s: i64,
    pub total_mismatches: i64,
    pub connections: i64,
}

/// Reads the gauges in one statement.
pub async fn read(context: &Context) -> Result<Gauges, DbError> {
    let statement = "
        select array(select coalesce(sum(count), 0)::bigint
                     from unnest($1::text[]) with ordinality as wanted (status, place)
                     left join order_counts using (status)
                     group by place order by place),
               coalesce((select extract(epoch from now() - min(created_at))::bigint
                         from orders where status = 'pending'), 0),
               (select count(*)
                from (select id, total_amount from orders
                      order by created_at desc, id desc limit $2::bigint) as o
                where total_amount is distinct from
                      (select sum(subtotal) from order_items where order_id = o.id)),
               (select count(*) from pg_stat_activity
                where datname = current_database() and usename = current_user)";
    let statuses = Status::ALL.map(|status| status.to_string()).to_vec();
    let params = vec![statuses.into(), CHECKED_ORDERS.into()];
    let deadline = context.deadline.at_most(LIMIT);
    let rows = query(&context.config.database_url, statement, params, deadline).await?;
    let row = rows.first();
    let row = row.ok_or_else(|| DbError::Unexpected("no row of gauges".into()))?;
    Ok(Gauges {
        orders: row.get_array(0)?,
        oldest_pending_age_s: row.get::<i64>(1)?.max(0),
        total_mismatches: row.get(2)?,
        connections: row.get(3)?,
    })
}
