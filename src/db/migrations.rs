//! Whether the database has the tables that this version needs.

use crate::config::NEWEST_MIGRATION;
use crate::context::Context;
use crate::platform::postgres::{self, DbError};
use crate::platform::time::Deadline;

/// An error unless the database answers and dbmate has applied the newest migration.
pub async fn check(context: &Context, deadline: Deadline) -> Result<(), DbError> {
    let statement = "select 1 from schema_migrations where version = $1::text";
    let rows = postgres::query(
        &context.config.database_url,
        statement,
        vec![NEWEST_MIGRATION.into()],
        deadline,
    );
    if rows.await?.is_empty() {
        return Err(DbError::NotMigrated(format!(
            "migration {NEWEST_MIGRATION}"
        )));
    }
    Ok(())
}
