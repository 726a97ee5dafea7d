//! What goes wrong in Postgres, in the guest's terms.

use tokio_postgres::error::DbError as PgDbError;

use super::MAX_REPLY_BYTES;
use crate::bindings::spin::postgres::postgres::{DbError, Error, QueryError};

/// A statement failed. What the server says about it is passed on field by field.
pub fn query_failed(error: tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    let Some(failure) = error.as_db_error() else {
        return text(as_text);
    };
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text,
        severity: failure.severity().to_owned(),
        code: failure.code().code().to_owned(),
        message: failure.message().to_owned(),
        detail: failure.detail().map(str::to_owned),
        extras: extras(failure),
    }))
}

/// A row arrived that cannot be told to the guest.
pub fn row_failed(error: &anyhow::Error) -> Error {
    text(format!("{error:#}"))
}

/// The rows take more memory than a guest may have for them.
pub fn too_large() -> Error {
    text(format!(
        "query result exceeds limit of {MAX_REPLY_BYTES} bytes"
    ))
}

/// A failure of which only a description is known.
pub fn text(description: String) -> Error {
    Error::QueryFailed(QueryError::Text(description))
}

/// The blocking `query` reports a failure among the rows by its description alone, as in Spin.
pub fn text_failure(error: &Error) -> Error {
    text(format!("{error:?}"))
}

/// The fields that the guest's interface has no names for.
fn extras(failure: &PgDbError) -> Vec<(String, String)> {
    let fields = [
        ("column", failure.column().map(str::to_owned)),
        ("constraint", failure.constraint().map(str::to_owned)),
        ("routine", failure.routine().map(str::to_owned)),
        ("hint", failure.hint().map(str::to_owned)),
        ("table", failure.table().map(str::to_owned)),
        ("datatype", failure.datatype().map(str::to_owned)),
        ("schema", failure.schema().map(str::to_owned)),
        ("file", failure.file().map(str::to_owned)),
        ("line", failure.line().map(|line| line.to_string())),
        ("where_", failure.where_().map(str::to_owned)),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}
