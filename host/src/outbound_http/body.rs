//! Bodies of outbound requests and of the replies to them.

use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

use crate::telemetry::Call;

type Frames = Poll<Option<Result<Frame<Bytes>, ErrorCode>>>;

/// A guest's body. The pool of connections wants bodies that threads can share; nobody does
/// share them, so the lock is never waited for.
pub struct SyncBody(Mutex<UnsyncBoxBody<Bytes, ErrorCode>>);

impl SyncBody {
    pub fn new(body: UnsyncBoxBody<Bytes, ErrorCode>) -> Self {
        Self(Mutex::new(body))
    }

    fn with<R>(&self, ask: impl FnOnce(&mut UnsyncBoxBody<Bytes, ErrorCode>) -> R) -> R {
        ask(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Body for SyncBody {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Frames {
        self.with(|body| pin!(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

/// The body of a reply. It fails when nothing arrives for too long, and ends the call's span.
pub struct ReplyBody {
    body: Incoming,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    call: Option<Call>,
    received: usize,
}

impl ReplyBody {
    pub fn new(body: Incoming, patience: Duration, call: Call) -> Self {
        Self {
            body,
            patience,
            waiting: None,
            call: Some(call),
            received: 0,
        }
    }

    fn finish(&mut self) {
        if let Some(call) = self.call.take() {
            call.set(
                "http.response.body.size",
                i64::try_from(self.received).unwrap_or(i64::MAX),
            );
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Frames {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.waiting = None;
                if let Some(Ok(frame)) = &frame {
                    self.received += frame.data_ref().map_or(0, |data| data.remaining());
                }
                if frame.is_none() || self.body.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(ErrorCode::from_hyper_request_error)))
            }
            Poll::Pending => {
                let patience = self.patience;
                let waiting = self
                    .waiting
                    .get_or_insert_with(|| Box::pin(sleep(patience)));
                waiting
                    .as_mut()
                    .poll(context)
                    .map(|()| Some(Err(ErrorCode::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
