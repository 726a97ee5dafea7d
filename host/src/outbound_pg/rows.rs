//! Rows on their way into the guest.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult};

use crate::bindings::spin::postgres::postgres::Row;

/// Gives the guest one row at a time, as they come.
pub struct RowProducer(mpsc::Receiver<Row>);

impl RowProducer {
    pub fn new(rows: mpsc::Receiver<Row>) -> Self {
        Self(rows)
    }
}

impl<D> StreamProducer<D> for RowProducer {
    type Item = Row;
    type Buffer = Option<Row>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Row, Option<Row>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // A read of no rows asks only whether there are any; the next one will find out.
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.get_mut().0.poll_recv(context) {
            Poll::Ready(Some(row)) => {
                destination.set_buffer(Some(row));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
