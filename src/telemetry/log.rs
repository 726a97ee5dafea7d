//! One JSON line for each request, and one for each degradation, on the component's standard output. Spin
//! and the Kubernetes shim pass it on on standard error.
//!
//! Lines are made and written many at a time, a tenth of a second after the responses at most,
//! which takes half as long as one by one. A line that is more than information is written at
//! once, after all that waited.
//!
//! Deliberately absent: bodies, addresses, notes, user ids, and paths (which hold them).

mod line;

use core::cell::{Cell, RefCell};
use core::str::FromStr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::MatchedPath;
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use self::line::Line;
use super::trace::TraceContext;
use crate::config::Config;
use crate::error::Error;
use crate::platform::{spawn, time};

/// How long lines wait for company.
const GATHER: Duration = Duration::from_millis(10);
/// Lines after that time that make an instance busy.
const BUSY: usize = 8;
/// How much longer they wait in a busy instance.
const GATHER_BUSY: Duration = Duration::from_millis(90);

/// How much a line matters; the least important come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err("must be error, warn, info or debug"),
        }
    }
}

/// The order a request is about, left in its response for the log line.
#[derive(Debug, Clone, Copy)]
pub struct OrderId(pub Uuid);

/// A request that has been answered.
#[derive(Debug)]
pub struct Request {
    pub config: Arc<Config>,
    pub method: Method,
    /// The template of the path; `None` if no route matched.
    pub route: Option<MatchedPath>,
    pub status: StatusCode,
    pub duration: Duration,
    pub request_id: String,
    pub trace: Option<TraceContext>,
    pub order_id: Option<OrderId>,
    pub failure: Option<Failure>,
}

/// Why it was refused.
#[derive(Debug)]
pub struct Failure {
    code: &'static str,
    /// The causes of a 5xx.
    detail: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code(),
            detail: error.status().is_server_error().then(|| error.detail()),
        }
    }
}

/// What waits to become a line.
#[derive(Debug)]
struct Entry {
    time: DateTime<Utc>,
    level: Level,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Message(String),
    Request(Request),
}

/// Tells of a request: an error for a 5xx, a warning for one that a dependency caused,
/// information otherwise.
pub fn request(request: Request) {
    let level = match request.status.as_u16() {
        502..=504 => Level::Warn,
        500.. => Level::Error,
        _ => Level::Info,
    };
    if level <= request.config.log_level {
        tell(level, Content::Request(request));
    }
}

/// How often the same degradation is told, at most, by one instance.
const DEGRADATION_PAUSE: Duration = Duration::from_secs(1);

thread_local! {
    static TOLD: RefCell<BTreeMap<&'static str, Instant>> = const { RefCell::new(BTreeMap::new()) };
}

/// Tells that `what` does not work as it should, though requests still succeed.
pub fn degradation(config: &Config, what: &'static str, cause: &str) {
    if Level::Warn > config.log_level {
        return;
    }
    let now = Instant::now();
    let recent = TOLD.with_borrow_mut(|told| {
        let last = told.get(what).copied();
        let recent = last.is_some_and(|last| now.duration_since(last) < DEGRADATION_PAUSE);
        if !recent {
            told.insert(what, now);
        }
        recent
    });
    if !recent {
        raw(Level::Warn, &format!("{what}: {cause}"));
    }
}

/// Tells something that belongs to no request.
pub fn raw(level: Level, message: &str) {
    tell(level, Content::Message(message.to_owned()));
}

thread_local! {
    static WAITING: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

fn tell(level: Level, content: Content) {
    let time = Utc::now();
    let entry = Entry {
        time,
        level,
        content,
    };
    WAITING.with_borrow_mut(|waiting| waiting.push(entry));
    if level <= Level::Warn {
        flush();
    }
}

/// Writes what waits, soon.
pub fn flush_later() {
    if WAITING.with_borrow(Vec::is_empty) || WRITING.replace(true) {
        return;
    }
    spawn(async {
        time::sleep(GATHER).await;
        if WAITING.with_borrow(Vec::len) >= BUSY {
            time::sleep(GATHER_BUSY).await;
        }
        WRITING.set(false);
        flush();
    });
}

/// Writes what waits.
pub fn flush() {
    let mut lines = Vec::new();
    for entry in WAITING.take() {
        let end = lines.len();
        match serde_json::to_writer(&mut lines, &Line::from(&entry)) {
            Ok(()) => lines.push(b'\n'),
            Err(_) => lines.truncate(end),
        }
    }
    // Without a reader of standard output there is nobody to tell.
    let _ = std::io::stdout().lock().write_all(&lines);
}
