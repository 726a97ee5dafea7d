//! What the service tells about itself.

pub mod log;
pub mod metrics;
pub mod trace;

use core::cell::Cell;
use core::time::Duration;

use crate::context::Context;
use crate::platform::time;

/// Every so many responses, what has been gathered is sent before the response. Spin drops an
/// instance, with whatever it still has to do, after its 128th response.
const FLUSH_EVERY: u32 = 64;
/// How long lines and counts wait for company.
const GATHER: Duration = Duration::from_millis(10);
/// Responses within that time that make an instance busy.
const BUSY: u32 = 8;
/// How much longer they wait in a busy instance, which soon comes to the response that is preceded
/// by a flush.
const GATHER_BUSY: Duration = Duration::from_millis(40);

thread_local! {
    static ANSWERED: Cell<u32> = const { Cell::new(0) };
}

/// Sends the lines and the counts that a request has left: soon after its response, together
/// with those of others.
pub async fn flush_in_time(context: &Context) {
    let answered = ANSWERED.get().wrapping_add(1);
    ANSWERED.set(answered);
    if answered.is_multiple_of(FLUSH_EVERY) {
        log::flush();
        metrics::flush_now(context).await;
    } else {
        log::flush_later();
        metrics::flush_later(context);
    }
}

/// Waits until there may be enough to flush.
async fn gather() {
    let before = ANSWERED.get();
    time::sleep(GATHER).await;
    if ANSWERED.get().wrapping_sub(before) >= BUSY {
        time::sleep(GATHER_BUSY).await;
    }
}
