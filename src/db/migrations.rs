//! Whether the database has the tables that this version needs.

use crate::config::NEWEST_MIGRATION;
use crate::context::Context;
use crate::platform::postgres::{DbError, Until, query};
use crate::platform::time::Deadline;

/// An error unless the database answers and dbmate has applied the newest migration.
pub async fn check(context: &Context, deadline: Deadline) -> Result<(), DbError> {
    let statement = "select 1 from schema_migrations where version = $1::text";
    let url = &context.config.database_url;
    let params = vec![NEWEST_MIGRATION.into()];
    let row = query(url, statement, params, Until::Row, deadline).await?;
    row.map(drop)
        .ok_or_else(|| DbError::NotMigrated(format!("migration {NEWEST_MIGRATION}")))
}
