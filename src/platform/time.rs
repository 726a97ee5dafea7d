//! Waiting, and the limit of waiting.
//!
//! A timer costs a fifth of a host call even when it is given up before its time, so a request
//! has one for everything that it waits for, see [`timed`].

use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::time::Instant;

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

    /// The result of `work`, unless the deadline comes first; `work` is cancelled then. Only
    /// work that is [`timed`] is woken by its deadline.
    pub async fn limit<T>(self, work: impl Future<Output = T> + Send) -> Result<T, Elapsed> {
        if self.left().is_zero() {
            return Err(Elapsed);
        }
        let mut work = pin!(work);
        let mut is_noted = false;
        poll_fn(|task| {
            if is_noted && self.left().is_zero() {
                return Poll::Ready(Err(Elapsed));
            }
            let polled = work.as_mut().poll(task).map(Ok);
            if polled.is_pending() && !is_noted {
                is_noted = true;
                let wait = (self.0, task.waker().clone());
                WAITS.with_borrow_mut(|waits| waits.push(wait));
            }
            polled
        })
        .await
    }
}

thread_local! {
    /// The limits that the work which is being polled has come upon, and whom to wake then.
    static WAITS: RefCell<Vec<(Instant, Waker)>> = const { RefCell::new(Vec::new()) };
}

/// Lets one timer wake `work` at each of its deadlines. The timer is set when `work` waits for
/// the first time, and set again only for an earlier moment or when it has run out. What has
/// come in time leaves its limit behind, which at worst wakes `work` for nothing.
pub async fn timed<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut waits = Vec::new();
    let mut timer: Option<(Instant, Pin<Box<_>>)> = None;
    poll_fn(|task| {
        loop {
            // What is polled may poll other work that is timed.
            let outer = WAITS.replace(core::mem::take(&mut waits));
            let polled = work.as_mut().poll(task);
            waits = WAITS.replace(outer);
            let first = waits.iter().map(|(at, _)| *at).min();
            let Some(first) = first.filter(|_| polled.is_pending()) else {
                return polled;
            };
            if timer.as_ref().is_none_or(|(at, _)| *at > first) {
                timer = Some((first, Box::pin(sleep(Deadline(first).left()))));
            }
            let has_run_out = timer
                .as_mut()
                .is_some_and(|(_, timer)| timer.as_mut().poll(task).is_ready());
            if !has_run_out {
                return Poll::Pending;
            }
            timer = None;
            let now = Instant::now();
            waits.retain(|(at, waker)| {
                if *at <= now {
                    waker.wake_by_ref();
                }
                *at > now
            });
        }
    })
    .await
}

/// Waits.
pub fn sleep(wait: Duration) -> impl Future<Output = ()> + Send {
    SendWrapper::new(spin_sdk::time::sleep(wait))
}
