//! What the service tells about itself.

pub mod log;
pub mod metrics;
pub mod trace;

use core::cell::Cell;

use crate::context::Context;

/// Every so many responses, what has been gathered is sent before the response. Spin drops an
/// instance, with whatever it still has to do, after its 128th response.
const FLUSH_EVERY: u32 = 64;

thread_local! {
    static IN_FLIGHT: Cell<u32> = const { Cell::new(0) };
    static ANSWERED: Cell<u32> = const { Cell::new(0) };
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub struct InFlight(());

impl InFlight {
    pub fn begin() -> Self {
        IN_FLIGHT.set(IN_FLIGHT.get().saturating_add(1));
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.set(IN_FLIGHT.get().saturating_sub(1));
    }
}

/// Sends the lines and the counts that a request has left: soon after its response, together
/// with those of others.
pub async fn flush_in_time(context: &Context, request: InFlight) {
    drop(request);
    let answered = ANSWERED.get().wrapping_add(1);
    ANSWERED.set(answered);
    if answered.is_multiple_of(FLUSH_EVERY) {
        log::flush();
        metrics::flush_now(context).await;
    } else {
        log::flush_later();
        metrics::flush_later(context, IN_FLIGHT.get());
    }
}
