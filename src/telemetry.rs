//! What the service tells about itself: a line for each request, and counts.
//!
//! Requests are noted in a buffer of the instance, which is cheap. One flush, a tenth of a second
//! later at most, makes lines and counts of all that are there, writes the lines and adds the
//! counts to Redis. A host that is killed takes along what its instances have not flushed.

pub mod log;
pub mod metrics;
pub mod trace;

use core::cell::{Cell, RefCell};
use core::time::Duration;

use crate::config::{Config, Level};
use crate::platform::{spawn, time};

/// How long what has happened waits for company.
const GATHER: Duration = Duration::from_millis(100);
/// Every so many responses, all is flushed before the response. Spin drops an instance, with
/// whatever it still has to do, after its 128th response.
const FLUSH_EVERY: u32 = 64;
/// How long Redis has for a flush that a response waits for.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);
/// How long it has for one that nobody waits for.
const FLUSH_LIMIT_LATER: Duration = Duration::from_secs(5);
/// Flushes that may fail before counts wait for the next event instead. They outlast the pause
/// that follows a failure of Redis.
const FLUSH_ATTEMPTS: u32 = 20;

thread_local! {
    /// Requests of which no line and no count has been made.
    static NOTED: RefCell<Vec<log::Request>> = const { RefCell::new(Vec::new()) };
    static ANSWERED: Cell<u32> = const { Cell::new(0) };
    static PLANNED: Cell<bool> = const { Cell::new(false) };
}

/// Notes a request; to be called just before its response leaves.
pub async fn answered(request: log::Request) {
    let urgent = request.level() <= Level::Warn;
    NOTED.with_borrow_mut(|noted| noted.push(request));
    if urgent {
        settle();
    }
    let answered = ANSWERED.get().wrapping_add(1);
    ANSWERED.set(answered);
    if answered.is_multiple_of(FLUSH_EVERY) {
        flush(FLUSH_LIMIT).await;
    } else {
        plan();
    }
}

/// Sees to it that there is a flush before long.
fn plan() {
    if !PLANNED.replace(true) {
        spawn(flush_later());
    }
}

/// Flushes a little later, and again until Redis has taken the counts.
async fn flush_later() {
    let mut attempts = FLUSH_ATTEMPTS;
    while attempts > 0 {
        time::sleep(GATHER).await;
        attempts = match flush(FLUSH_LIMIT_LATER).await {
            true if is_idle() => break,
            true => FLUSH_ATTEMPTS,
            false => attempts.saturating_sub(1),
        };
    }
    PLANNED.set(false);
}

/// Whether nothing waits to be flushed.
fn is_idle() -> bool {
    NOTED.with_borrow(Vec::is_empty) && metrics::is_idle()
}

/// Writes the lines and sends the counts of what has happened; whether Redis has taken them.
async fn flush(limit: Duration) -> bool {
    settle();
    match Config::get().await {
        Ok(config) => metrics::send(&config, limit).await,
        Err(_) => false,
    }
}

/// Makes lines and counts of the requests that have been noted, and writes the lines.
fn settle() {
    let mut lines = Vec::new();
    for request in NOTED.take() {
        metrics::request(&request);
        request.write_line(&mut lines);
    }
    log::write(&lines);
}
