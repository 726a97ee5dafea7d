//! Many orders at once, written by SQL.

use crate::database::Database;

/// The same orders that the measurements are made with.
const SCRIPT: &str = include_str!("../../bench/seed.sql");

/// Fills the database until it has this many orders, and lets Postgres look at what is where, as it
/// does on its own after a while.
///
/// # Panics
/// When Postgres refuses it.
pub async fn db_seed(database: &Database, orders: u64) {
    db_seed_over(database, orders, 365).await;
}

/// Likewise, with orders of so many days.
///
/// # Panics
/// When Postgres refuses it.
pub async fn db_seed_over(database: &Database, orders: u64, days: u32) {
    // What is committed later than it is answered cannot be marked as visible to all by a vacuum
    // that comes at once, and then no index is read alone.
    let settings =
        format!("set synchronous_commit = on; set seed.orders = {orders}; set seed.days = {days}");
    database.db_execute(&settings).await;
    database.db_execute(SCRIPT).await;
    database.db_execute("vacuum analyze").await;
}
