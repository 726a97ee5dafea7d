//! The wire between the component and a server, in the hands of a test.
//!
//! A [`Link`] listens on a port of its own and passes bytes on to Postgres or Redis. On the way it
//! notes what was asked, and when a test says so, it refuses connections, breaks them or falls
//! silent: an outage for one test, while the server goes on serving the others.

mod postgres;
mod proxy;
mod redis;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub use proxy::free_port;
use proxy::{Mode, Proxy};

/// What one connection asked for, found in the bytes it sent.
trait Tap: Send + 'static {
    /// Takes the next bytes and returns the requests that they complete.
    fn read(&mut self, bytes: &[u8]) -> Vec<Request>;
}

/// One request on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The SQL of a statement, or the words of a Redis command.
    pub text: String,
    /// The parameters of a statement as they were sent, in Postgres's binary format; `None` is null.
    pub parameters: Vec<Option<Vec<u8>>>,
}

/// One request and when it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    pub request: Request,
    pub at: Instant,
}

/// The wire between one component and one server.
#[derive(Debug)]
pub struct Link {
    proxy: Proxy,
    seen: Arc<Mutex<Vec<Seen>>>,
    is_housekeeping: fn(&str) -> bool,
}

impl Link {
    /// A link to the Postgres at `server` (`host:port`), which notes the SQL of each execution.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn to_postgres(server: &str) -> Self {
        let tap = || Box::new(postgres::PostgresTap::default()) as Box<dyn Tap>;
        Self::start(server, tap, postgres::is_housekeeping).await
    }

    /// A link to the Redis at `server` (`host:port`), which notes each command.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn to_redis(server: &str) -> Self {
        let tap = || Box::new(redis::RedisTap::default()) as Box<dyn Tap>;
        Self::start(server, tap, redis::is_housekeeping).await
    }

    async fn start(
        server: &str,
        tap: fn() -> Box<dyn Tap>,
        is_housekeeping: fn(&str) -> bool,
    ) -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let proxy = Proxy::start(server.to_owned(), tap, Arc::clone(&seen)).await;
        Self {
            proxy,
            seen,
            is_housekeeping,
        }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// Breaks every connection and refuses new ones, like a server that has been stopped.
    pub async fn refuse(&self) {
        self.proxy.switch(Mode::Refusing).await;
    }

    /// Keeps and takes connections, but no byte passes any more, like a server that hangs.
    pub async fn hang(&self) {
        self.proxy.switch(Mode::Silent).await;
    }

    /// No byte of a connection that is there, or is opened from now on until [`Link::restore`], passes
    /// ever again, like those to a machine that has died.
    pub async fn vanish(&self) {
        self.proxy.switch(Mode::Vanished).await;
    }

    /// Everything works again. What was held back while it was silent goes through.
    pub async fn restore(&self) {
        self.proxy.switch(Mode::Open).await;
    }

    /// Breaks every connection once; new ones work, like a server that was restarted.
    pub fn cut(&self) {
        self.proxy.cut();
    }

    /// What the component asked for since the last [`Link::forget`], without what the host's pools
    /// and clients do on their own.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        let requests = self.seen_requests().into_iter();
        requests.map(|request| request.text).collect()
    }

    /// The same with the parameters.
    #[must_use]
    pub fn seen_requests(&self) -> Vec<Request> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = seen.iter().map(|seen| &seen.request);
        let wanted = requests.filter(|request| !(self.is_housekeeping)(&request.text));
        wanted.cloned().collect()
    }

    /// How many connections the component has opened since the last [`Link::forget`].
    #[must_use]
    pub fn connections(&self) -> usize {
        self.proxy.accepted.load(Ordering::Relaxed)
    }

    /// Starts counting anew.
    pub fn forget(&self) {
        self.proxy.accepted.store(0, Ordering::Relaxed);
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
mod tests;
