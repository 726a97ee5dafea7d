//! How long instances live and how many requests they take, as in Spin.

use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi_http::handler::{HandlerState, StoreBundle};

use crate::app::App;
use crate::state::State;

/// Requests an instance serves before it is replaced.
const REQUESTS_PER_INSTANCE: usize = 128;
/// Requests an instance serves at the same time.
const REQUESTS_AT_ONCE: usize = 16;
/// How long an instance without a request is kept.
const IDLE: Duration = Duration::from_secs(1);

/// Makes instances.
pub struct Instances {
    app: Arc<App>,
}

impl Instances {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl HandlerState for Instances {
    type StoreData = State;

    fn new_store(&self, _: Option<u64>) -> wasmtime::Result<StoreBundle<State>> {
        Ok(StoreBundle {
            store: State::store(&self.app)?,
            write_profile: Box::new(|_| ()),
        })
    }

    /// There is none: a request may take as long as it likes.
    fn request_timeout(&self) -> Duration {
        Duration::MAX
    }

    fn idle_instance_timeout(&self) -> Duration {
        IDLE
    }

    fn max_instance_reuse_count(&self) -> usize {
        REQUESTS_PER_INSTANCE
    }

    /// With traces on, one at a time, so that it is known which request a call belongs to.
    fn max_instance_concurrent_reuse_count(&self) -> usize {
        if self.app.telemetry.is_on() {
            1
        } else {
            REQUESTS_AT_ONCE
        }
    }

    /// An instance has trapped, or could not be made. Its requests are answered 500.
    fn handle_worker_error(&self, error: wasmtime::Error) {
        // What comes before the cause is a backtrace, and the component has no symbols.
        eprintln!(
            "spin-standin: the instance has died: {}",
            error.root_cause()
        );
    }
}
