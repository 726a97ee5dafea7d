//! Waiting, and the limit of waiting.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;
use std::time::Instant;

use futures_util::future::{Either, select};
use send_wrapper::SendWrapper;

/// The moment by which a request must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// The deadline came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the deadline has passed")]
pub struct Elapsed;

impl Deadline {
    pub fn after(wait: Duration) -> Self {
        Self::at(Instant::now(), wait)
    }

    /// The moment that is `wait` after `start`.
    pub fn at(start: Instant, wait: Duration) -> Self {
        Self(start.checked_add(wait).unwrap_or(start))
    }

    /// The time that is left; zero when it is up.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// A deadline that leaves `reserve` for what comes afterwards.
    #[must_use]
    pub fn minus(self, reserve: Duration) -> Self {
        Self(self.0.checked_sub(reserve).unwrap_or(self.0))
    }

    /// This deadline, or one in `wait` if that is earlier.
    #[must_use]
    pub fn at_most(self, wait: Duration) -> Self {
        self.min(Self::after(wait))
    }

    /// The result of `work`, unless the deadline comes first; `work` is cancelled then.
    pub async fn limit<T>(self, work: impl Future<Output = T> + Send) -> Result<T, Elapsed> {
        let left = self.left();
        if left.is_zero() {
            return Err(Elapsed);
        }
        match select(pin!(work), pin!(sleep(left))).await {
            Either::Left((value, _)) => Ok(value),
            Either::Right(((), _)) => Err(Elapsed),
        }
    }
}

/// Waits.
pub fn sleep(wait: Duration) -> impl Future<Output = ()> + Send {
    SendWrapper::new(spin_sdk::time::sleep(wait))
}
