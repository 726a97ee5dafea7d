//! What Postgres knows at the moment of a scrape. A new number is one entry here.

use core::time::Duration;

use crate::context::Context;
use crate::domain::status::Status;
use crate::platform::postgres::{DbError, Until, query};

/// How long a scrape waits for Postgres.
const LIMIT: Duration = Duration::from_secs(2);

/// Name, help, and the query of each number; without a row, or below 0, it is 0. What is new or
/// may change is not in the archive. Checks look at the newest alone, so that they stay cheap.
#[rustfmt::skip]
pub const GAUGES: [(&str, &str, &str); 6] = [
    ("orders_oldest_pending_age_seconds", "Age of the oldest pending order; 0 if there is none.",
     "select extract(epoch from now() - min(created_at)) from only orders where status = 'pending'"),
    ("orders_total_mismatch", "Orders among the 1000 newest whose total differs from their items; must be 0.",
     "select count(*)
      from (select id, total_amount from only orders order by created_at desc, id desc limit 1000) as o
      where total_amount is distinct from
            (select sum(subtotal) from only order_items where order_id = o.id)"),
    ("orders_count_mismatch", "Users among those of the 10 newest orders, with 500 orders at most, whose total differs from a count; must be 0.",
     "select count(*)
      from (select user_id, sum(count) as count from user_order_counts
            where user_id in (select user_id from (
                select user_id from only orders order by created_at desc, id desc limit 10) as newest)
            group by user_id having sum(count) <= 500) as counted
      where count <> (select count(*) from orders where user_id = counted.user_id)"),
    ("orders_feed_lag_seconds", "Age of the first event that the change feed holds back; 0 if there is none.",
     "select extract(epoch from now() - created_at)
      from only order_events where position >= order_feed_end() order by position, number limit 1"),
    ("orders_archive_age_seconds", "Since the last run of the archive has ended; 0 if there was none.",
     "select extract(epoch from now() - ended_at) from order_archive"),
    ("database_connections", "Connections of the service's role to its database.",
     "select count(*) from pg_stat_activity
      where datname = current_database() and usename = current_user"),
];

/// The state of the orders and of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges {
    /// Orders of each [`Status::ALL`], in that order.
    pub orders: Vec<i64>,
    /// Of [`GAUGES`], in that order.
    pub numbers: Vec<i64>,
}

/// Reads the gauges in one statement.
pub async fn read(context: &Context) -> Result<Gauges, DbError> {
    let numbers = GAUGES.map(|(_, _, query)| format!("greatest(({query}), 0)::bigint"));
    let statement = format!(
        "select array(select coalesce(sum(count), 0)::bigint
                      from unnest($1::text[]) with ordinality as wanted (status, place)
                      left join order_counts using (status)
                      group by place order by place),
                array[{}]",
        numbers.join(", ")
    );
    let statuses = Status::ALL.map(|status| status.to_string()).to_vec();
    let deadline = context.deadline.at_most(LIMIT);
    let address = &context.config.database_url;
    let params = vec![statuses.into()];
    let row = query(address, statement, params, Until::Row, deadline).await?;
    let row = row.ok_or_else(|| DbError::Unexpected("no row of gauges".into()))?;
    Ok(Gauges {
        orders: row.get_array(0)?,
        numbers: row.get_array(1)?,
    })
}
