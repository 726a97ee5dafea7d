//! Redis: one connection per instance, opened when it is first needed and again after an error.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::time::Duration;
use std::rc::Rc;
use std::time::Instant;

use futures_util::lock::Mutex;
use send_wrapper::SendWrapper;
use spin_sdk::redis::{Connection, Error, RedisParameter, RedisResult};

use super::time::Deadline;

/// How long Redis is left alone after it failed, so that an outage does not slow every request.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a call waits for the connection that another one opens. It may be opened in vain, to a
/// server that is gone while there is a new one at the same address.
const TURN_MAX: Duration = Duration::from_millis(100);

/// Whose turn it is to open the connection.
static OPENING: Mutex<()> = Mutex::new(());

thread_local! {
    static CONNECTION: RefCell<Option<Rc<Connection>>> = const { RefCell::new(None) };
    static PAUSED_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Why a command gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RedisFailure {
    #[error("it failed a moment ago")]
    Paused,
    /// The command may or may not have been executed.
    #[error("no answer in {0:?}")]
    NoAnswer(Duration),
    #[error("{0}")]
    Failed(String),
}

/// How much a call matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long Redis has to answer.
    pub limit: Duration,
    /// Whether to ask even when Redis has failed a moment ago.
    pub insist: bool,
}

impl Patience {
    /// For what goes without Redis as well: Postgres would have answered by then.
    pub const BRIEF: Self = Self::of(Duration::from_millis(250));
    /// For what must replace an older entry.
    pub const PATIENT: Self = Self {
        limit: Duration::from_secs(1),
        insist: true,
    };

    /// Waits so long for a Redis that has not failed a moment ago.
    pub const fn of(limit: Duration) -> Self {
        Self {
            limit,
            insist: false,
        }
    }
}

/// An argument of a command.
#[derive(Debug, Clone)]
pub enum Argument {
    Text(String),
    Number(i64),
}

impl Argument {
    /// A time in milliseconds, as commands want it.
    pub fn millis(time: Duration) -> Self {
        Self::Number(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }
}

/// An answer.
pub type Value = RedisResult;

/// Runs one command.
///
/// # Errors
/// Redis is unreachable, answered with an error, or did not answer in time; also, at once,
/// when it has failed a moment ago and the call does not insist.
pub fn execute(
    address: &str,
    command: &'static str,
    arguments: Vec<Argument>,
    patience: Patience,
) -> impl Future<Output = Result<Vec<Value>, RedisFailure>> + Send {
    limited(address.to_owned(), patience, async move |connection| {
        let arguments = arguments.into_iter().map(|argument| match argument {
            Argument::Text(text) => RedisParameter::Binary(text.into_bytes()),
            Argument::Number(number) => RedisParameter::Int64(number),
        });
        connection.execute(command, arguments).await
    })
}

/// Runs a script with these keys and arguments.
///
/// # Errors
/// As with any command.
pub fn run_script(
    address: &str,
    script: &str,
    keys: Vec<Argument>,
    arguments: Vec<Argument>,
    patience: Patience,
) -> impl Future<Output = Result<Vec<Value>, RedisFailure>> + Send {
    let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    let words = [Argument::Text(script.into()), Argument::Number(count)];
    let words = words.into_iter().chain(keys).chain(arguments).collect();
    execute(address, "EVAL", words, patience)
}

/// The value of a key.
pub fn get(
    address: &str,
    key: String,
    patience: Patience,
) -> impl Future<Output = Result<Option<Vec<u8>>, RedisFailure>> + Send {
    limited(address.to_owned(), patience, async move |connection| {
        connection.get(key).await
    })
}

/// Sets a key; the host's spans leave the value out.
pub fn set(
    address: &str,
    key: String,
    value: String,
    patience: Patience,
) -> impl Future<Output = Result<(), RedisFailure>> + Send {
    limited(address.to_owned(), patience, async move |connection| {
        connection.set(key, value).await
    })
}

/// Runs a call on the instance's connection, with as much patience as it deserves.
fn limited<T>(
    address: String,
    patience: Patience,
    call: impl AsyncFnOnce(&Connection) -> Result<T, Error>,
) -> impl Future<Output = Result<T, RedisFailure>> + Send {
    SendWrapper::new(async move {
        let paused = PAUSED_UNTIL
            .get()
            .is_some_and(|until| Instant::now() < until);
        if paused && !patience.insist {
            return Err(RedisFailure::Paused);
        }
        let mut used = None;
        let work = async {
            let connection = connection(&address).await?;
            used = Some(connection.clone());
            call(&connection).await
        };
        let result = match Deadline::after(patience.limit).limit(work).await {
            Ok(result) => result.map_err(|error| RedisFailure::Failed(error.to_string())),
            Err(_) => Err(RedisFailure::NoAnswer(patience.limit)),
        };
        // Not if others have a newer connection by now: the failure was that of an old one.
        if result.is_err() && is_current(used.as_ref()) {
            CONNECTION.replace(None);
            PAUSED_UNTIL.set(Instant::now().checked_add(PAUSE));
        }
        result
    })
}

/// Whether the instance has no other connection than this one.
fn is_current(used: Option<&Rc<Connection>>) -> bool {
    CONNECTION.with_borrow(|current| match (current, used) {
        (Some(current), Some(used)) => Rc::ptr_eq(current, used),
        (current, _) => current.is_none(),
    })
}

/// The instance's connection, opened if need be, once for all calls that need it.
async fn connection(address: &str) -> Result<Rc<Connection>, Error> {
    if let Some(connection) = CONNECTION.with_borrow(Clone::clone) {
        return Ok(connection);
    }
    let _turn = Deadline::after(TURN_MAX).limit(OPENING.lock()).await;
    if let Some(connection) = CONNECTION.with_borrow(Clone::clone) {
        return Ok(connection);
    }
    let connection = Rc::new(Connection::open(address).await?);
    CONNECTION.replace(Some(connection.clone()));
    Ok(connection)
}
