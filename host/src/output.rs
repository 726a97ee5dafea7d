//! Where the guest's standard output and error go.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// What happens to the guest's output.
#[derive(Debug, Clone, Default)]
pub enum Output {
    /// It becomes this process's own output.
    #[default]
    Inherit,
    /// It is thrown away.
    Quiet,
    /// Whole lines are kept in memory, both streams together.
    Captured(Capture),
}

/// Output kept in memory.
#[derive(Debug, Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// What has been written so far.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Which of the two standard streams.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Stdout,
    Stderr,
}

impl Output {
    /// The writer for one instance. Instances write at the same time, so each collects its own
    /// line until it is whole.
    pub fn stream(&self, kind: Kind) -> Lines {
        let sink = Sink {
            output: self.clone(),
            kind,
        };
        Lines(Arc::new(Mutex::new(Buffer {
            sink,
            line: Vec::new(),
        })))
    }
}

/// A standard stream of one instance.
#[derive(Clone)]
pub struct Lines(Arc<Mutex<Buffer>>);

struct Buffer {
    sink: Sink,
    line: Vec<u8>,
}

struct Sink {
    output: Output,
    kind: Kind,
}

impl Sink {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match (&self.output, self.kind) {
            (Output::Quiet, _) => Ok(()),
            (Output::Captured(capture), _) => {
                capture
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(bytes);
                Ok(())
            }
            (Output::Inherit, Kind::Stdout) => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            (Output::Inherit, Kind::Stderr) => io::stderr().write_all(bytes),
        }
    }
}

impl Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.line.extend_from_slice(bytes);
        match self.line.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => {
                let rest = self.line.split_off(end + 1);
                let whole = std::mem::replace(&mut self.line, rest);
                self.sink.write(&whole)
            }
            None => Ok(()),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.line.push(b'\n');
            // Nobody is left to tell if this fails.
            self.sink.write(&self.line).ok();
        }
    }
}

impl Lines {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes)
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Lines::write(&self, bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Lines::write(self, &bytes).map_err(|error| StreamError::LastOperationFailed(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(1 << 20)
    }
}
