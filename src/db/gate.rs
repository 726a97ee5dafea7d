//! The gate before Postgres: while it gives no answers, requests are refused at once instead of
//! after their deadline.
//!
//! A statement that has waited until its deadline closes the gate, unless the instance has had
//! other answers meanwhile. Each instance has a gate of its own, and says in Redis that it is
//! closed: refusing is quick, an instance serves its 128 requests within a fraction of a second,
//! and the next must not find out anew. Once a second, one request of all instances may try. The
//! first answer opens the gate for all. Without Redis nobody is refused.

use core::cell::Cell;
use core::time::Duration;
use std::time::Instant;

use crate::context::Context;
use crate::platform::postgres::{self, DbError, Param, Row, Until};
use crate::platform::redis::{Argument, Patience, Value, execute, run_script};
use crate::telemetry::log;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::REFUSED;

/// How long an instance refuses requests before it asks Redis again.
const REFUSE: Duration = Duration::from_millis(100);
/// How often one request may try whether Postgres answers.
const PROBE_EVERY_MS: i64 = 1000;
/// A statement that had less time than that has proved nothing.
const PATIENCE_MIN: Duration = Duration::from_millis(250);

/// 0 if the gate (the first key) is open, 1 for leave to probe (the second key), 2 if closed.
const ENTER: &str = "
if redis.call('exists', KEYS[1]) == 0 then return 0 end
if redis.call('set', KEYS[2], '', 'nx', 'px', ARGV[1]) then return 1 end
return 2";

#[derive(Debug, Clone, Copy)]
enum Gate {
    /// Nobody has asked yet, or there is reason to ask again.
    Unknown,
    Open,
    Closed {
        until: Instant,
    },
}

thread_local! {
    static GATE: Cell<Gate> = const { Cell::new(Gate::Unknown) };
    /// Whether Redis says that the gate is closed, as far as this instance knows.
    static TOLD: Cell<bool> = const { Cell::new(false) };
    /// How often Postgres has answered.
    static ANSWERS: Cell<u64> = const { Cell::new(0) };
}

/// Runs one statement, unless there is no hope of an answer.
pub async fn run(
    context: &Context,
    statement: impl Into<String>,
    params: Vec<Param>,
    until: Until,
) -> Result<Option<Row>, DbError> {
    enter(context).await?;
    let answers = ANSWERS.get();
    let had_time = context.deadline.left() >= PATIENCE_MIN;
    let url = &context.config.database_url;
    let result = postgres::query(url, statement, params, until, context.deadline).await;
    match &result {
        Err(DbError::TooSlow) if had_time && ANSWERS.get() == answers => close(context).await,
        Err(DbError::TooSlow | DbError::Unreachable(_)) => {}
        _ => open(context).await,
    }
    result
}

async fn enter(context: &Context) -> Result<(), DbError> {
    let verdict = match GATE.get() {
        Gate::Open => return Ok(()),
        Gate::Closed { until } if Instant::now() < until => Some(2),
        Gate::Closed { .. } | Gate::Unknown => ask(context).await,
    };
    match verdict {
        Some(0) => GATE.set(Gate::Open),
        Some(2) => return Err(refuse()),
        _ => {}
    }
    Ok(())
}

/// What Redis says; `None` if it says nothing.
async fn ask(context: &Context) -> Option<i64> {
    let keys = [key(context), format!("{}-probe", key(context))].map(Argument::Text);
    let arguments = vec![Argument::Number(PROBE_EVERY_MS)];
    let url = &context.config.redis_url;
    let values = run_script(url, ENTER, keys.to_vec(), arguments, Patience::BRIEF).await;
    let verdict = match values.ok()?.first() {
        Some(Value::Int64(verdict)) => *verdict,
        _ => return None,
    };
    TOLD.set(verdict > 0);
    if verdict == 2 {
        let now = Instant::now();
        let until = now.checked_add(REFUSE).unwrap_or(now);
        GATE.set(Gate::Closed { until });
    }
    Some(verdict)
}

fn refuse() -> DbError {
    count(&REFUSED, &[]);
    DbError::Overloaded
}

async fn close(context: &Context) {
    GATE.set(Gate::Unknown);
    TOLD.set(true);
    let what = "the database does not answer, requests are refused at once";
    log::degradation(&context.config, what, &DbError::TooSlow.to_string());
    // Long enough for a probe to fail, which then closes the gate again.
    let ttl = context.config.request_timeout.saturating_mul(3);
    let arguments = vec![
        Argument::Text(key(context)),
        Argument::millis(ttl),
        Argument::Text("closed".into()),
    ];
    let _ = execute(
        &context.config.redis_url,
        "PSETEX",
        arguments,
        Patience::BRIEF,
    )
    .await;
}

async fn open(context: &Context) {
    ANSWERS.set(ANSWERS.get().wrapping_add(1));
    GATE.set(Gate::Open);
    if TOLD.replace(false) {
        let arguments = vec![Argument::Text(key(context))];
        let _ = execute(&context.config.redis_url, "DEL", arguments, Patience::BRIEF).await;
    }
}

fn key(context: &Context) -> String {
    context.config.redis_key("database-gate")
}
