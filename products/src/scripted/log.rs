//! The memory of the controllable product service.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::http::{HeaderMap, Method};

use super::lock;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: Method,
    /// Path and query exactly as they were sent, percent-encoding included.
    pub raw_path: String,
    /// The decoded product id, if the path was `/api/products/{id}/`.
    pub product_id: Option<String>,
    pub headers: HeaderMap,
    pub began_at: Instant,
    /// When the whole reply had been handed over or the caller went away; `None` while it lasts.
    pub ended_at: Option<Instant>,
}

impl Recorded {
    /// Whether the two were being answered at the same time.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let ends_after = |one: &Self, began_at| one.ended_at.is_none_or(|ended| ended > began_at);
        ends_after(self, other.began_at) && ends_after(other, self.began_at)
    }
}

/// All requests, in the order they arrived.
#[derive(Debug, Clone, Default)]
pub struct Log {
    requests: Arc<Mutex<Vec<Recorded>>>,
}

impl Log {
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.requests).clone()
    }

    /// The requests for one product.
    #[must_use]
    pub fn requests_for(&self, product_id: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.product_id.as_deref() == Some(product_id));
        requests
    }

    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.requests).len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The undecoded paths, in the order they arrived.
    #[must_use]
    pub fn raw_paths(&self) -> Vec<String> {
        lock(&self.requests)
            .iter()
            .map(|request| request.raw_path.clone())
            .collect()
    }

    pub(super) fn begin(
        &self,
        method: &Method,
        raw_path: &str,
        product_id: Option<String>,
        headers: HeaderMap,
    ) -> Entry {
        let mut requests = lock(&self.requests);
        requests.push(Recorded {
            method: method.clone(),
            raw_path: raw_path.to_owned(),
            product_id,
            headers,
            began_at: Instant::now(),
            ended_at: None,
        });
        Entry {
            log: self.clone(),
            position: requests.len() - 1,
        }
    }
}

/// A request that is being answered. Dropping it notes the end, also when the caller hung up.
#[derive(Debug)]
pub(super) struct Entry {
    log: Log,
    position: usize,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(request) = lock(&self.log.requests).get_mut(self.position) {
            request.ended_at = Some(Instant::now());
        }
    }
}
