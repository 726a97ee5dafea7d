//! Waiting for what happens soon, but not at once.

use std::time::{Duration, Instant};

/// How long a test waits for something that should happen within milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a busy machine may add to a deadline.
pub const SLACK: Duration = Duration::from_millis(1500);

/// Repeats `attempt` until it gives something, for [`PATIENCE`] at most.
///
/// # Panics
/// When it has not happened by then; `what` says what did not.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "it never came to pass that {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same for a condition.
///
/// # Panics
/// When it has not become true in time.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually(what, async || condition().await.then_some(())).await;
}
