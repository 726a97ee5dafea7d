//! Postgres: a few connections per instance, shared by its requests.
//!
//! Every call is one statement, complete in itself: the host's pool does not roll back, so a
//! transaction must never be open between two calls.

mod lease;

use core::future::Future;
use std::time::Instant;

use chrono::{DateTime, Utc};
use send_wrapper::SendWrapper;
use spin_sdk::pg::wit::postgres::Connection;
use spin_sdk::pg::{self, DbValue, ParameterValue, PgError, QueryError};
use uuid::Uuid;

use self::lease::Lease;
pub use self::lease::trust;
use super::time::Deadline;

/// Why a statement gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// There is no connection, or it was lost: the statement may or may not have been executed.
    #[error("the database is unreachable: {0}")]
    Unreachable(String),
    #[error("the database did not answer in time")]
    TooSlow,
    /// It was not asked, because it has not answered others.
    #[error("the database did not answer others in time")]
    Overloaded,
    /// It has no such table, column or function, so migrations are missing.
    #[error("the database lacks something: {0}")]
    NotMigrated(String),
    /// The database refused the statement.
    #[error("SQLSTATE {code}: {message}")]
    Refused { code: String, message: String },
    /// A row was not as the statement promises.
    #[error("unexpected result: {0}")]
    Unexpected(String),
}

impl DbError {
    /// Whether the same statement may succeed in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooSlow | Self::Overloaded | Self::NotMigrated(_) => true,
            // Lack of resources, a deadlock or lost race, a standby that is not writable yet.
            Self::Refused { code, .. } => {
                ["53", "40", "25", "55"].iter().any(|c| code.starts_with(c))
            }
            Self::Unexpected(_) => false,
        }
    }
}

/// A parameter of a statement, to be used with a cast such as `$1::uuid`.
#[derive(Debug, Clone)]
pub struct Param(ParameterValue);

macro_rules! param_from {
    ($($type:ty => |$value:ident| $variant:ident($inner:expr);)*) => {
        $(impl From<$type> for Param {
            fn from($value: $type) -> Self {
                Self(ParameterValue::$variant($inner))
            }
        })*
    };
}

param_from! {
    &str => |text| Str(text.to_owned());
    String => |text| Str(text);
    Uuid => |id| Uuid(id.to_string());
    i64 => |number| Int64(number);
    Vec<String> => |texts| ArrayStr(texts.into_iter().map(Some).collect());
}

/// Cast it with `$1::timestamp at time zone 'utc'`.
impl From<DateTime<Utc>> for Param {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.naive_utc().into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(ParameterValue::DbNull), Into::into)
    }
}

/// A row of a result.
#[derive(Debug)]
pub struct Row(Vec<DbValue>);

impl Row {
    /// The value of the column at `index`, from 0.
    pub fn get<T: pg::Decode>(&self, index: usize) -> Result<T, DbError> {
        let value = self
            .0
            .get(index)
            .ok_or_else(|| DbError::Unexpected(format!("there is no column {index}")))?;
        T::decode(value).map_err(|error| DbError::Unexpected(format!("column {index}: {error}")))
    }

    /// The text of the column at `index`, moved out of the row; it may be long.
    pub fn take_text(&mut self, index: usize) -> Result<Option<String>, DbError> {
        match self
            .0
            .get_mut(index)
            .map(|value| core::mem::replace(value, DbValue::DbNull))
        {
            Some(DbValue::Str(text)) => Ok(Some(text)),
            Some(DbValue::DbNull) => Ok(None),
            _ => Err(DbError::Unexpected(format!("column {index} has no text"))),
        }
    }

    /// The elements of an array column that are not null; none if the array itself is.
    pub fn get_array<T>(&self, index: usize) -> Result<Vec<T>, DbError>
    where
        Vec<Option<T>>: pg::Decode,
    {
        let elements: Option<Vec<Option<T>>> = self.get(index)?;
        Ok(elements.into_iter().flatten().flatten().collect())
    }
}

/// What a statement is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// With its row, as nothing that may follow matters to who only reads.
    Row,
    /// With its end: what it has changed is there when it has been committed, after its row.
    Commit,
}

/// Runs one statement of one row at most. A connection that is lost is replaced and the statement
/// sent once more, so every statement must bear being repeated.
pub fn query(
    address: &str,
    statement: impl Into<String>,
    params: Vec<Param>,
    until: Until,
    deadline: Deadline,
) -> impl Future<Output = Result<Option<Row>, DbError>> + Send {
    let address = address.to_owned();
    let statement = statement.into();
    SendWrapper::new(async move {
        let params: Vec<_> = params.into_iter().map(|param| param.0).collect();
        let lease = Lease::take(&address, None, deadline).await?;
        let result = lease.run(&statement, params.clone(), until, deadline).await;
        if !matches!(result, Err(DbError::Unreachable(_))) {
            return result;
        }
        // The host lends no more than so many, dead ones too.
        drop(lease);
        // The older ones may have died with it.
        let lease = Lease::take(&address, Some(Instant::now()), deadline).await?;
        lease.run(&statement, params, until, deadline).await
    })
}

/// Asks the host for no more than is needed: the end of the rows and the end of the statement are
/// a wait each.
async fn row(
    connection: &Connection,
    statement: &str,
    params: Vec<ParameterValue>,
    until: Until,
) -> Result<Option<Row>, DbError> {
    let replying = connection.query_async(statement.to_owned(), params);
    let (_, mut rows, end) = replying.await.map_err(classify)?;
    let row = rows.next().await.map(Row);
    if row.is_none() || until == Until::Commit {
        end.await.map_err(classify)?;
    }
    Ok(row)
}

fn classify(error: PgError) -> DbError {
    match error {
        PgError::QueryFailed(QueryError::DbError(error)) => {
            // Class 08 is a lost connection, 57P a server that stops or starts, 53300 one
            // that has no connection left, 57014 a statement over its time limit. The three of
            // class 42 name a table, a column or a function that is not there.
            match error.code.as_str() {
                "57014" => DbError::TooSlow,
                "42P01" | "42703" | "42883" => DbError::NotMigrated(error.message),
                code if code.starts_with("08") || code.starts_with("57P") || code == "53300" => {
                    DbError::Unreachable(error.message)
                }
                _ => DbError::Refused {
                    code: error.code,
                    message: error.message,
                },
            }
        }
        PgError::QueryFailed(QueryError::Text(text))
        | PgError::ConnectionFailed(text)
        | PgError::Other(text) => DbError::Unreachable(text),
        PgError::BadParameter(text) | PgError::ValueConversionFailed(text) => {
            DbError::Unexpected(text)
        }
    }
}
