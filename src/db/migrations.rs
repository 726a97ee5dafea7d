//! Whether the database has the tables that this version needs.

use crate::context::Context;
use crate::platform::postgres;
use crate::platform::time::Deadline;

/// The newest migration that this version relies on; the prefix of its file's name.
pub const NEWEST: &str = "20261129000000";

/// Whether the database answers and dbmate has applied the newest migration.
pub async fn are_applied(context: &Context, deadline: Deadline) -> bool {
    let statement = "select 1 from schema_migrations where version = $1::text";
    let rows = postgres::query(
        &context.config.database_url,
        statement,
        vec![NEWEST.into()],
        deadline,
    );
    rows.await.is_ok_and(|rows| !rows.is_empty())
}
