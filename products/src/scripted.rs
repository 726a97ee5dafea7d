//! A product service that does what a test tells it to.
//!
//! Each product id has a script: the replies it gives, one per request, the last one for ever.
//! An id without a script is a 404, as for a product that does not exist. Every request is
//! remembered with its undecoded path, its headers, and the instants at which it began and ended,
//! so that a test can count calls and prove that they overlapped.

mod log;
mod reply;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use percent_encoding::percent_decode_str;

pub use log::{Log, Recorded};
pub use reply::Reply;

use crate::server::Server;

/// The controllable product service. Dropping it closes its port.
#[derive(Debug)]
pub struct ScriptedProducts {
    script: Arc<Script>,
    address: SocketAddr,
    server: Mutex<Option<Server>>,
}

#[derive(Debug, Default)]
struct Script {
    replies: Mutex<HashMap<Target, VecDeque<Reply>>>,
    fallback: Mutex<Option<Reply>>,
    log: Log,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Target {
    /// `/api/products/{id}/`, decoded.
    Product(String),
    /// Any path, as it was sent.
    Path(String),
}

impl ScriptedProducts {
    /// Starts on a free port of the loopback address, on a task of the current runtime.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> io::Result<Self> {
        let script = Arc::new(Script::default());
        let server = Server::start(router(&script), (Ipv4Addr::LOCALHOST, 0).into()).await?;
        Ok(Self {
            script,
            address: server.address(),
            server: Mutex::new(Some(server)),
        })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, the product replies with each of `replies` in turn, and then for ever with
    /// the last one.
    pub fn set(&self, product_id: &str, replies: impl Into<Vec<Reply>>) {
        self.set_target(Target::Product(product_id.to_owned()), replies.into());
    }

    /// The product exists, is active, in stock without limit, and has this price.
    pub fn set_price(&self, product_id: &str, price: &str) {
        self.set(product_id, Reply::priced(price));
    }

    /// The same for a path that is not a product's, such as the target of a redirect.
    pub fn set_path(&self, path: &str, replies: impl Into<Vec<Reply>>) {
        self.set_target(Target::Path(path.to_owned()), replies.into());
    }

    /// What every id and path without a script replies, instead of 404.
    pub fn set_fallback(&self, reply: Reply) {
        *lock(&self.script.fallback) = Some(reply);
    }

    fn set_target(&self, target: Target, replies: Vec<Reply>) {
        assert!(!replies.is_empty(), "a script needs at least one reply");
        lock(&self.script.replies).insert(target, replies.into());
    }

    /// Everything that was asked for so far.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.script.log
    }

    /// Closes the port: connections are refused from now on.
    pub fn stop(&self) {
        lock(&self.server).take();
    }
}

fn router(script: &Arc<Script>) -> Router {
    Router::new()
        .fallback(answer)
        .with_state(Arc::clone(script))
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response<Body> {
    let (head, _) = request.into_parts();
    let raw_path = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let product_id = product_id(&raw_path);
    let entry = script
        .log
        .begin(&head.method, &raw_path, product_id.clone(), head.headers);
    let reply = script.next_reply(&raw_path, product_id.as_deref());
    reply
        .send(product_id.as_deref().unwrap_or_default(), entry)
        .await
}

impl Script {
    fn next_reply(&self, raw_path: &str, product_id: Option<&str>) -> Reply {
        let mut replies = lock(&self.replies);
        let by_path = Target::Path(raw_path.to_owned());
        let target = match product_id {
            Some(id) if !replies.contains_key(&by_path) => Target::Product(id.to_owned()),
            _ => by_path,
        };
        let scripted = replies
            .get_mut(&target)
            .and_then(|queue| match queue.len() {
                0 | 1 => queue.front().cloned(),
                _ => queue.pop_front(),
            });
        scripted
            .or_else(|| lock(&self.fallback).clone())
            .unwrap_or_else(Reply::not_found)
    }
}

/// The decoded id of `/api/products/{id}/`; nothing else is a product, so that an id that escaped
/// its place in the path is not mistaken for one.
fn product_id(raw_path: &str) -> Option<String> {
    let segment = raw_path.strip_prefix("/api/products/")?.strip_suffix('/')?;
    if segment.is_empty() || segment.contains(['/', '?']) {
        return None;
    }
    Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned())
}

/// A poisoned lock only says that another test's assertion failed while it was held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
