//! Statements on one connection.

use std::sync::Arc;

use futures::TryStreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::RowStream;
use tokio_postgres::types::ToSql;

use super::errors::{text_failure, too_large};
use super::{MAX_REPLY_BYTES, convert, errors, params};
use crate::bindings::spin::postgres::postgres::{Column, Error, ParameterValue, Row, RowSet};

/// Rows that may wait for the guest to take them.
const ROWS_AHEAD: usize = 4;

/// A connection of the pool. It goes back when the last clone is dropped.
#[derive(Clone)]
pub struct Client(Arc<deadpool_postgres::Object>);

/// A reply whose rows arrive one by one.
pub struct Streamed {
    /// Empty when there is no row: only a row tells the columns, as in Spin.
    pub columns: Vec<Column>,
    pub rows: mpsc::Receiver<Row>,
    /// Whether all rows have arrived.
    pub end: oneshot::Receiver<Result<(), Error>>,
}

impl Client {
    pub fn new(object: deadpool_postgres::Object) -> Self {
        Self(Arc::new(object))
    }

    /// Runs a statement and tells how many rows it touched.
    pub async fn execute(
        &self,
        statement: &str,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let params = params::to_sql(&params)
            .map_err(|error| Error::ValueConversionFailed(format!("{error:#}")))?;
        let params: Vec<&(dyn ToSql + Sync)> = params
            .iter()
            .map(|param| param.as_ref() as &(dyn ToSql + Sync))
            .collect();
        self.0
            .execute(statement, &params)
            .await
            .map_err(errors::query_failed)
    }

    /// Runs a statement and collects its rows.
    pub async fn query(
        &self,
        statement: &str,
        params: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let mut stream = self.rows(statement, &params).await?;
        let mut set = RowSet {
            columns: Vec::new(),
            rows: Vec::new(),
        };
        let mut bytes = size_of::<RowSet>();
        while let Some(row) = stream
            .try_next()
            .await
            .map_err(|error| text_failure(&errors::query_failed(error)))?
        {
            if set.columns.is_empty() {
                set.columns = convert::columns(&row);
            }
            let row =
                convert::row(&row).map_err(|error| text_failure(&errors::row_failed(&error)))?;
            bytes += convert::size(&row);
            if bytes > MAX_REPLY_BYTES {
                return Err(too_large());
            }
            set.rows.push(row);
        }
        Ok(set)
    }

    /// Runs a statement and hands over its rows as they arrive. What goes wrong after the
    /// statement was accepted, a violated constraint too, is told at the end of the rows.
    pub async fn query_streamed(
        &self,
        statement: &str,
        params: Vec<ParameterValue>,
    ) -> Result<Streamed, Error> {
        let stream = self.rows(statement, &params).await?;
        let (columns_sender, columns) = oneshot::channel();
        let (sender, rows) = mpsc::channel(ROWS_AHEAD);
        let (end_sender, end) = oneshot::channel();
        tokio::spawn(async move {
            let result = pump(stream, columns_sender, sender).await;
            // The guest may have lost interest; then nobody needs to know.
            end_sender.send(result).ok();
        });
        Ok(Streamed {
            columns: columns.await.unwrap_or_default(),
            rows,
            end,
        })
    }

    async fn rows(
        &self,
        statement: &str,
        params: &[ParameterValue],
    ) -> Result<std::pin::Pin<Box<RowStream>>, Error> {
        let params =
            params::to_sql(params).map_err(|error| Error::BadParameter(format!("{error:#}")))?;
        let stream = self
            .0
            .query_raw(statement, params)
            .await
            .map_err(errors::query_failed)?;
        Ok(Box::pin(stream))
    }
}

async fn pump(
    mut stream: std::pin::Pin<Box<RowStream>>,
    columns: oneshot::Sender<Vec<Column>>,
    rows: mpsc::Sender<Row>,
) -> Result<(), Error> {
    let mut columns = Some(columns);
    while let Some(row) = stream.try_next().await.map_err(errors::query_failed)? {
        if let Some(columns) = columns.take() {
            columns.send(convert::columns(&row)).ok();
        }
        let row = convert::row(&row).map_err(|error| errors::row_failed(&error))?;
        if convert::size(&row) > MAX_REPLY_BYTES {
            return Err(too_large());
        }
        if let Err(error) = rows.send(row).await {
            return Err(errors::text(format!("async error: {error}")));
        }
    }
    Ok(())
}
