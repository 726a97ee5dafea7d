//! Opening connections for the client.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower_service::Service;
use wasmtime_wasi_http::p3::bindings::http::types::{DnsErrorPayload, ErrorCode};

tokio::task_local! {
    /// How long a new connection may take. The client has no way to pass it along.
    pub static CONNECT_TIMEOUT: Duration;
}

/// Connects over TCP, at most as often as there are permits.
#[derive(Clone)]
pub struct Connector {
    permits: Option<Arc<Semaphore>>,
}

impl Connector {
    pub fn new(permits: Option<Arc<Semaphore>>) -> Self {
        Self { permits }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ErrorCode;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ErrorCode>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let permits = self.permits.clone();
        // Here, not later: the client goes on in a task of its own when the request no longer
        // needs the connection.
        let limit = CONNECT_TIMEOUT.get();
        Box::pin(async move { connect(&uri, permits, limit).await.map(TokioIo::new) })
    }
}

async fn connect(
    uri: &Uri,
    permits: Option<Arc<Semaphore>>,
    limit: Duration,
) -> Result<Stream, ErrorCode> {
    let host = uri.host().ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let port = uri.port_u16().unwrap_or(80);
    let addresses: Vec<_> = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
        .await
        .map_err(|_| address_not_available())?
        .collect();
    let permit = match permits {
        Some(permits) => permits.acquire_owned().await.ok(),
        None => None,
    };
    let stream = timeout(limit, TcpStream::connect(&*addresses))
        .await
        .map_err(|_| ErrorCode::ConnectionTimeout)?
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrNotAvailable => address_not_available(),
            _ => ErrorCode::ConnectionRefused,
        })?;
    Ok(Stream {
        stream,
        _permit: permit,
    })
}

fn address_not_available() -> ErrorCode {
    let rcode = Some("address not available".to_owned());
    ErrorCode::DnsError(DnsErrorPayload {
        rcode,
        info_code: Some(0),
    })
}

/// A connection and the permit to have it.
pub struct Stream {
    stream: TcpStream,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
