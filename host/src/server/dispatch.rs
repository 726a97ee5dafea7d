//! One request's way through an instance.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use opentelemetry::trace::TraceContextExt as _;
use tokio::sync::oneshot;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::handler::{Proxy, ProxyHandler};
use wasmtime_wasi_http::p3::bindings::http::types::{self, ErrorCode};

use super::reuse::Instances;
use crate::state::State;
use crate::telemetry::Scope;

/// How often to look whether the guest has anything left to do after its response.
const SETTLE_ROUNDS: usize = 8;

type Answer = Response<UnsyncBoxBody<Bytes, ErrorCode>>;

/// Gives the request to an instance and waits for the head of the response.
///
/// # Errors
///
/// The instance has trapped, or the guest has returned an error instead of a response.
pub async fn run(
    handler: &ProxyHandler<Instances>,
    request: Request<Incoming>,
    span: Option<opentelemetry::Context>,
) -> Result<Answer> {
    let request = request.map(|body| body.map_err(ErrorCode::from_hyper_request_error));
    let (request, request_io) = types::Request::from_http(request);
    let (sender, receiver) = oneshot::channel();
    handler.spawn(
        None,
        Box::new(move |accessor: &Accessor<State>, guest: &Proxy| {
            Box::pin(async move {
                let scope = accessor.with(|mut access| access.data_mut().scope.clone());
                scope.enter(span.clone());
                match call(accessor, guest, request, request_io).await {
                    Ok((response, read)) => {
                        // The instance must stay at work until the body has been read. A client
                        // that has gone away reads nothing.
                        if sender.send(Ok(response)).is_ok() {
                            read.await.ok();
                        }
                    }
                    Err(error) => drop(sender.send(Err(error))),
                }
                if let Some(span) = span {
                    span.span().end();
                    settle(&scope).await;
                }
            })
        }),
    );
    receiver.await.map_err(|_| InstanceDied)?
}

/// The instance has trapped and taken this request with it.
#[derive(Debug)]
pub struct InstanceDied;

impl fmt::Display for InstanceDied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the instance died before it could respond")
    }
}

impl std::error::Error for InstanceDied {}

/// Lets the guest finish what it does after the response, so that its calls are still told
/// apart from those of the next request. Only with traces on.
async fn settle(scope: &Scope) {
    let mut quiet = 0;
    while quiet < SETTLE_ROUNDS {
        tokio::task::yield_now().await;
        if scope.open_calls() == 0 {
            quiet += 1;
        } else {
            quiet = 0;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

async fn call(
    accessor: &Accessor<State>,
    guest: &Proxy,
    request: types::Request,
    request_io: impl Future<Output = Result<(), ErrorCode>> + Send + 'static,
) -> Result<(Answer, oneshot::Receiver<()>)> {
    let Proxy::P3(guest) = guest else {
        return Err(anyhow!("not a WASIp3 component"));
    };
    let response = guest.handle(accessor, request).await?;
    let response = response.map_err(|code| anyhow!("the component returned an error: {code:?}"))?;
    let response = accessor.with(|access| response.into_http(access, request_io))?;
    let (done, read) = oneshot::channel();
    Ok((
        response.map(|body| Watched { body, _done: done }.boxed_unsync()),
        read,
    ))
}

/// A body that tells when nobody needs it any more, by dropping its sender.
struct Watched {
    body: UnsyncBoxBody<Bytes, ErrorCode>,
    _done: oneshot::Sender<()>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
