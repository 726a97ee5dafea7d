//! The breaker: a product service that fails is left in peace for a while.
//!
//! Each instance has a breaker of its own. One that opens says so in Redis, and a new instance
//! looks there before its first request: under load an instance serves its 128 requests within
//! a fraction of a second, so that without it each would find out anew.

use core::cell::Cell;
use core::time::Duration;
use std::time::Instant;

use crate::context::Context;
use crate::platform::redis::{Argument, Patience, Value, execute};
use crate::platform::spawn;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::BREAKER_OPENINGS;

/// Longest time that the product service may ask for: a wrong header must not stop orders for
/// hours.
const ASKED_MAX: Duration = Duration::from_mins(1);
/// How long new instances hear of a failure after the time for which the breaker was open. They
/// begin with a probe then.
const REMEMBERED: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Requests pass; so many in a row have failed.
    Closed { failures: u32 },
    /// None passes until then; the next one is a probe.
    Open { until: Instant },
    /// A probe is under way.
    Probing,
}

const CLOSED: State = State::Closed { failures: 0 };

thread_local! {
    static STATE: Cell<State> = const { Cell::new(CLOSED) };
    /// Whether this instance has looked what others have found.
    static INFORMED: Cell<bool> = const { Cell::new(false) };
}

/// The name of the state, for `/ready`.
pub fn state() -> &'static str {
    match STATE.get() {
        State::Closed { .. } => "closed",
        State::Open { until } if until > Instant::now() => "open",
        State::Open { .. } | State::Probing => "half_open",
    }
}

/// How long no request passes.
pub fn open_for() -> Duration {
    match STATE.get() {
        State::Open { until } => until.saturating_duration_since(Instant::now()),
        State::Closed { .. } | State::Probing => Duration::ZERO,
    }
}

pub fn is_closed() -> bool {
    matches!(STATE.get(), State::Closed { .. })
}

/// The leave to make one attempt. Dropping it unused, as a cancelled request does, says nothing
/// about the product service, and lets another one probe.
#[derive(Debug)]
pub struct Permit {
    is_probe: bool,
}

/// Leave for an attempt; else how long the breaker stays open.
pub fn permit() -> Result<Permit, Duration> {
    let now = Instant::now();
    match STATE.get() {
        State::Closed { .. } => Ok(Permit { is_probe: false }),
        State::Open { until } if until > now => Err(until.duration_since(now)),
        State::Open { .. } => {
            STATE.set(State::Probing);
            Ok(Permit { is_probe: true })
        }
        State::Probing => Err(Duration::ZERO),
    }
}

impl Permit {
    /// The product service has answered. Only a probe closes the breaker: what was asked before
    /// it opened is no news.
    pub fn succeeded(self, context: &Context) {
        match STATE.get() {
            State::Closed { .. } => STATE.set(CLOSED),
            State::Probing if self.is_probe => {
                STATE.set(CLOSED);
                forget(context);
            }
            State::Probing | State::Open { .. } => {}
        }
    }

    /// It has not, or not as it should. `is_first` says whether the failure is the first of its
    /// kind: attempts that were made together fail together, and count as one.
    pub fn failed(self, context: &Context, is_first: bool) {
        let service = &context.config.product_service;
        match STATE.get() {
            State::Closed { failures } => {
                let failures = failures.saturating_add(is_first.into());
                STATE.set(State::Closed { failures });
                if failures >= service.breaker_failures {
                    open(context, service.breaker_open);
                }
            }
            State::Probing if self.is_probe => open(context, service.breaker_open),
            State::Probing | State::Open { .. } => {}
        }
    }

    /// It wants to be left alone for longer than the request can wait.
    pub fn refused(self, context: &Context, wait: Duration) {
        open(context, wait.min(ASKED_MAX));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_probe && STATE.get() == State::Probing {
            STATE.set(State::Open {
                until: Instant::now(),
            });
        }
    }
}

fn open(context: &Context, wait: Duration) {
    let now = Instant::now();
    let until = now.checked_add(wait).unwrap_or(now);
    STATE.set(State::Open { until });
    count(&BREAKER_OPENINGS, &[]);
    remember(context, wait);
}

/// Tells new instances.
fn remember(context: &Context, wait: Duration) {
    let arguments = vec![
        Argument::Text(key(context)),
        Argument::millis(wait.saturating_add(REMEMBERED)),
        Argument::Text("open".into()),
    ];
    tell(context, "PSETEX", arguments);
}

fn forget(context: &Context) {
    tell(context, "DEL", vec![Argument::Text(key(context))]);
}

/// Nothing depends on whether it arrives.
fn tell(context: &Context, command: &'static str, arguments: Vec<Argument>) {
    let url = context.config.redis_url.clone();
    spawn(async move {
        let _ = execute(&url, command, arguments, Patience::BRIEF).await;
    });
}

/// Takes over, once in an instance's life, what others have found; the first look-up waits for it.
/// No clock is compared: what is left of the key's time says it all.
pub async fn inform(context: &Context) {
    if INFORMED.get() {
        return;
    }
    let arguments = vec![Argument::Text(key(context))];
    let values = execute(
        &context.config.redis_url,
        "PTTL",
        arguments,
        Patience::BRIEF,
    )
    .await;
    if INFORMED.replace(true) {
        return;
    }
    let Some(Value::Int64(ttl @ 1..)) = values.ok().and_then(|it| it.into_iter().next()) else {
        return;
    };
    let wait = Duration::from_millis(ttl.unsigned_abs()).saturating_sub(REMEMBERED);
    let now = Instant::now();
    if is_closed() {
        let until = now.checked_add(wait.min(ASKED_MAX)).unwrap_or(now);
        STATE.set(State::Open { until });
    }
}

fn key(context: &Context) -> String {
    context.config.redis_key("product-breaker")
}
