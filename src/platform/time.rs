//! Waiting, and the limit of waiting.
//!
//! A timer costs the host up to half of a call even when it is given up before its time, so an
//! instance has one clock for the limits of all its requests.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use send_wrapper::SendWrapper;

use super::spawn;

/// How often the clock looks at limits at least: it need not be set anew for one that is no
/// nearer than this. The cache has as long to answer.
const LOOK_EVERY: Duration = Duration::from_millis(250);

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
    pub async fn limit<T>(self, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        if self.left().is_zero() {
            return Err(Elapsed);
        }
        let mut work = pin!(work);
        let mut limit: Option<Limit> = None;
        poll_fn(|task| {
            if limit.as_ref().is_some_and(Limit::has_come) {
                return Poll::Ready(Err(Elapsed));
            }
            let polled = work.as_mut().poll(task).map(Ok);
            if polled.is_pending() {
                let limit = limit.get_or_insert_with(|| Limit::new(self.0, task.waker()));
                limit.wakes(task.waker());
            }
            polled
        })
        .await
    }
}

thread_local! {
    /// The limits that have not come, in their order, each with its number and whom it wakes.
    static LIMITS: RefCell<BTreeMap<(Instant, u64), Waker>> = const { RefCell::new(BTreeMap::new()) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// When the instance's clock looks at them.
    static LOOKS_AT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A limit that somebody waits for.
struct Limit((Instant, u64));

impl Limit {
    fn new(at: Instant, waker: &Waker) -> Self {
        let number = NUMBER.get().wrapping_add(1);
        NUMBER.set(number);
        if LOOKS_AT.get().is_none_or(|look| look > at) {
            LOOKS_AT.set(Some(at));
            spawn(clock(at));
            // What is spawned begins at the next turn, which may be that of this limit.
            waker.wake_by_ref();
        }
        Self((at, number))
    }

    fn wakes(&self, waker: &Waker) {
        LIMITS.with_borrow_mut(|limits| match limits.get_mut(&self.0) {
            Some(noted) => noted.clone_from(waker),
            None => drop(limits.insert(self.0, waker.clone())),
        });
    }

    fn has_come(&self) -> bool {
        LIMITS.with_borrow(|limits| !limits.contains_key(&self.0))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        LIMITS.with_borrow_mut(|limits| limits.remove(&self.0));
    }
}

/// Wakes at each limit who waits for it, as long as anybody waits. One that has been overtaken, by
/// a clock for an earlier limit, leaves the rest to it.
async fn clock(mut look: Instant) {
    loop {
        sleep(Deadline(look).left()).await;
        let now = Instant::now();
        let first = LIMITS.with_borrow_mut(|limits| {
            while let Some(due) = limits.first_entry().filter(|first| first.key().0 <= now) {
                due.remove().wake();
            }
            limits.first_key_value().map(|((at, _), _)| *at)
        });
        if LOOKS_AT.get() != Some(look) {
            return;
        }
        let next = first.map(|first| first.min(Deadline::at(now, LOOK_EVERY).0));
        LOOKS_AT.set(next);
        match next {
            Some(next) => look = next,
            None => return,
        }
    }
}

/// Waits.
pub fn sleep(wait: Duration) -> impl Future<Output = ()> + Send {
    SendWrapper::new(spin_sdk::time::sleep(wait))
}
