//! Postgres: a few connections per instance, shared by its requests.
//!
//! Every call is one statement, complete in itself: the host's pool does not roll back, so a
//! transaction must never be open between two calls.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::lock::Mutex;
use send_wrapper::SendWrapper;
// Its own `Connection` can read certificates from files, and every component that may do so has
// the standard library's way into the file system linked in.
use spin_sdk::pg::wit::postgres::{Connection, ConnectionBuilder};
use spin_sdk::pg::{self, DbValue, ParameterValue, PgError, QueryError};
use uuid::Uuid;

use super::spawn;
use super::time::{Deadline, sleep};

/// Connections that one instance keeps to one server at most.
const CONNECTIONS_MAX: usize = 4;
/// How long a connection may go without an answer before further statements get another one.
/// Until then they share it: statements in a row cost less than connections side by side.
const PROGRESS: Duration = Duration::from_millis(20);
/// How long an instance keeps a connection. The host cleans each that it lends by a statement of
/// its own, so lending is dear.
const HOLD: Duration = Duration::from_millis(500);
/// How long it keeps one that it had to wait for. The host lends 64 to all its instances, and
/// there may be more instances than that: each must give its connections back before long, or the
/// others wait in vain.
const HOLD_CONTENDED: Duration = Duration::from_millis(20);
/// How long a request waits for the connection that another one opens. It may be opened in vain, to
/// a server that is gone while there is a new one at the same address.
const TURN_MAX: Duration = Duration::from_secs(1);
/// The host has lent all when it takes that long to lend one.
const CONTENDED: Duration = Duration::from_millis(20);

/// Why a statement gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// There is no connection, or it was lost: the statement may or may not have been executed.
    #[error("the database is unreachable: {0}")]
    Unreachable(String),
    #[error("the database did not answer in time")]
    TooSlow,
    /// It was not asked, because it has not answered others.
    #[error("the database did not answer others in time")]
    Overloaded,
    /// It has no such table, column or function, so migrations are missing.
    #[error("the database lacks something: {0}")]
    NotMigrated(String),
    /// The database refused the statement.
    #[error("SQLSTATE {code}: {message}")]
    Refused {
        code: String,
        constraint: Option<String>,
        message: String,
    },
    /// A row was not as the statement promises.
    #[error("unexpected result: {0}")]
    Unexpected(String),
}

impl DbError {
    /// Whether the same statement may succeed in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooSlow | Self::Overloaded | Self::NotMigrated(_) => true,
            // Lack of resources, a deadlock or lost race, a standby that is not writable yet.
            Self::Refused { code, .. } => {
                ["53", "40", "25", "55"].iter().any(|c| code.starts_with(c))
            }
            Self::Unexpected(_) => false,
        }
    }
}

/// A parameter of a statement, to be used with a cast such as `$1::uuid`.
#[derive(Debug, Clone)]
pub struct Param(ParameterValue);

macro_rules! param_from {
    ($($type:ty => |$value:ident| $variant:ident($inner:expr);)*) => {
        $(impl From<$type> for Param {
            fn from($value: $type) -> Self {
                Self(ParameterValue::$variant($inner))
            }
        })*
    };
}

param_from! {
    &str => |text| Str(text.to_owned());
    String => |text| Str(text);
    Uuid => |id| Uuid(id.to_string());
    i64 => |number| Int64(number);
    Vec<String> => |texts| ArrayStr(texts.into_iter().map(Some).collect());
}

/// Cast it with `$1::timestamp at time zone 'utc'`.
impl From<DateTime<Utc>> for Param {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.naive_utc().into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(ParameterValue::DbNull), Into::into)
    }
}

/// A row of a result.
#[derive(Debug)]
pub struct Row(Vec<DbValue>);

impl Row {
    /// The value of the column at `index`, from 0.
    pub fn get<T: pg::Decode>(&self, index: usize) -> Result<T, DbError> {
        let value = self
            .0
            .get(index)
            .ok_or_else(|| DbError::Unexpected(format!("there is no column {index}")))?;
        T::decode(value).map_err(|error| DbError::Unexpected(format!("column {index}: {error}")))
    }

    /// The text of the column at `index`, moved out of the row; it may be long.
    pub fn take_text(&mut self, index: usize) -> Result<Option<String>, DbError> {
        match self
            .0
            .get_mut(index)
            .map(|value| core::mem::replace(value, DbValue::DbNull))
        {
            Some(DbValue::Str(text)) => Ok(Some(text)),
            Some(DbValue::DbNull) => Ok(None),
            _ => Err(DbError::Unexpected(format!("column {index} has no text"))),
        }
    }

    /// The elements of an array column that are not null; none if the array itself is.
    pub fn get_array<T>(&self, index: usize) -> Result<Vec<T>, DbError>
    where
        Vec<Option<T>>: pg::Decode,
    {
        let elements: Option<Vec<Option<T>>> = self.get(index)?;
        Ok(elements.into_iter().flatten().flatten().collect())
    }
}

/// What a statement is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// With its row, as nothing that may follow matters to who only reads.
    Row,
    /// With its end: what it has changed is there when it has been committed, after its row.
    Commit,
}

/// Runs one statement of one row at most. A connection that turns out to be dead is replaced and
/// the statement sent once more, so every statement must bear being repeated.
pub fn query(
    address: &str,
    statement: impl Into<String>,
    params: Vec<Param>,
    until: Until,
    deadline: Deadline,
) -> impl Future<Output = Result<Option<Row>, DbError>> + Send {
    let address = address.to_owned();
    let statement = statement.into();
    SendWrapper::new(async move {
        let params: Vec<_> = params.into_iter().map(|param| param.0).collect();
        let lease = match Lease::take(&address, deadline).await {
            Ok(lease) => lease,
            Err(error) => return Err(error),
        };
        match lease.run(&statement, params.clone(), until, deadline).await {
            Err(DbError::Unreachable(_)) if lease.reused => {
                let lease = Lease::open(&address, deadline).await?;
                lease.run(&statement, params, until, deadline).await
            }
            result => result,
        }
    })
}

thread_local! {
    static CA_ROOT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on the server's certificate may come from this authority, in PEM, beside those that the
/// host knows.
pub fn trust(ca_root: String) {
    CA_ROOT.set(Some(ca_root));
}

async fn connect(address: &str) -> Result<Connection, PgError> {
    match CA_ROOT.with_borrow(Clone::clone) {
        None => Connection::open_async(address.to_owned()).await,
        Some(ca_root) => {
            let builder = ConnectionBuilder::new(address);
            builder.set_ca_root(&ca_root)?;
            builder.build_async().await
        }
    }
}

/// A connection of this instance; `Rc` counts the statements under way on it.
struct Slot {
    address: String,
    connection: Connection,
    /// When it last answered, or began to work after a pause.
    answered_at: Cell<Instant>,
}

impl Slot {
    fn is_idle(self: &Rc<Self>) -> bool {
        Rc::strong_count(self) == 1
    }

    fn makes_progress(self: &Rc<Self>) -> bool {
        self.is_idle() || self.answered_at.get().elapsed() < PROGRESS
    }
}

thread_local! {
    static SLOTS: RefCell<Vec<Rc<Slot>>> = const { RefCell::new(Vec::new()) };
    /// Whose turn it is to open a connection, by server.
    static OPENING: RefCell<BTreeMap<String, Rc<Mutex<()>>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The connections to one server.
fn count(slots: &[Rc<Slot>], address: &str) -> usize {
    slots.iter().filter(|slot| slot.address == address).count()
}

/// The right to run a statement on a connection.
struct Lease {
    slot: Rc<Slot>,
    /// The connection has been open before: it may have died since.
    reused: bool,
}

impl Lease {
    /// A connection that is there; if none is, a new one. Requests that need one at the same time
    /// wait for one together: each would take another from the host, that others wait for.
    async fn take(address: &str, deadline: Deadline) -> Result<Self, DbError> {
        if let Some(lease) = Self::share(address) {
            return Ok(lease);
        }
        let opening =
            OPENING.with_borrow_mut(|all| all.entry(address.to_owned()).or_default().clone());
        let _turn = deadline.at_most(TURN_MAX).limit(opening.lock()).await;
        match Self::share(address) {
            Some(lease) => Ok(lease),
            None => Self::open(address, deadline).await,
        }
    }

    /// The connection with the least to do of those that make progress; if none does, any, when
    /// there are enough.
    fn share(address: &str) -> Option<Self> {
        let slot = SLOTS.with_borrow(|slots| {
            let full = count(slots, address) >= CONNECTIONS_MAX;
            let least_busy = |fits: fn(&&Rc<Slot>) -> bool| {
                let slots = slots.iter().filter(|slot| slot.address == address);
                let slots = slots.filter(fits);
                slots.min_by_key(|slot| Rc::strong_count(slot)).cloned()
            };
            let in_progress = least_busy(|slot| slot.makes_progress());
            in_progress.or_else(|| least_busy(|_| true).filter(|_| full))
        })?;
        if Rc::strong_count(&slot) == 2 {
            slot.answered_at.set(Instant::now());
        }
        Some(Self { slot, reused: true })
    }

    async fn open(address: &str, deadline: Deadline) -> Result<Self, DbError> {
        let started = Instant::now();
        let opening = SendWrapper::new(connect(address));
        let connection = match deadline.limit(opening).await {
            Ok(result) => result.map_err(classify)?,
            Err(_) => return Err(DbError::TooSlow),
        };
        let slot = Rc::new(Slot {
            address: address.to_owned(),
            connection,
            answered_at: Cell::new(Instant::now()),
        });
        let lease = Self {
            slot,
            reused: false,
        };
        let is_contended = started.elapsed() > CONTENDED;
        lease.keep(if is_contended { HOLD_CONTENDED } else { HOLD });
        Ok(lease)
    }

    /// Lets other statements use the connection for a while, if there are too few.
    fn keep(&self, hold: Duration) {
        let kept = SLOTS.with_borrow_mut(|slots| {
            let room = count(slots, &self.slot.address) < CONNECTIONS_MAX;
            if room {
                slots.push(self.slot.clone());
            }
            room
        });
        if kept {
            let slot = Rc::downgrade(&self.slot);
            spawn(async move {
                sleep(hold).await;
                if let Some(slot) = slot.upgrade() {
                    forget(&slot);
                }
            });
        }
    }

    async fn run(
        &self,
        statement: &str,
        params: Vec<ParameterValue>,
        until: Until,
        deadline: Deadline,
    ) -> Result<Option<Row>, DbError> {
        let work = row(&self.slot.connection, statement, params, until);
        let work = SendWrapper::new(work);
        let result = match deadline.limit(work).await {
            Ok(result) => result,
            Err(_) => Err(DbError::TooSlow),
        };
        self.slot.answered_at.set(Instant::now());
        if matches!(result, Err(DbError::Unreachable(_) | DbError::TooSlow)) {
            forget(&self.slot);
        }
        result
    }
}

/// Gives the connection back when the statements under way on it are done.
fn forget(gone: &Rc<Slot>) {
    SLOTS.with_borrow_mut(|slots| slots.retain(|slot| !Rc::ptr_eq(slot, gone)));
}

/// Asks the host for no more than is needed: the end of the rows and the end of the statement are
/// a wait each.
async fn row(
    connection: &Connection,
    statement: &str,
    params: Vec<ParameterValue>,
    until: Until,
) -> Result<Option<Row>, DbError> {
    let replying = connection.query_async(statement.to_owned(), params);
    let (_, mut rows, end) = replying.await.map_err(classify)?;
    let row = rows.next().await.map(Row);
    if row.is_none() || until == Until::Commit {
        end.await.map_err(classify)?;
    }
    Ok(row)
}

fn classify(error: PgError) -> DbError {
    match error {
        PgError::QueryFailed(QueryError::DbError(error)) => {
            // Class 08 is a lost connection, 57P a server that stops or starts, 53300 one
            // that has no connection left, 57014 a statement over its time limit. The three of
            // class 42 name a table, a column or a function that is not there.
            match error.code.as_str() {
                "57014" => DbError::TooSlow,
                "42P01" | "42703" | "42883" => DbError::NotMigrated(error.message),
                code if code.starts_with("08") || code.starts_with("57P") || code == "53300" => {
                    DbError::Unreachable(error.message)
                }
                _ => DbError::Refused {
                    constraint: error
                        .extras
                        .into_iter()
                        .find_map(|(name, value)| (name == "constraint").then_some(value)),
                    code: error.code,
                    message: error.message,
                },
            }
        }
        PgError::QueryFailed(QueryError::Text(text))
        | PgError::ConnectionFailed(text)
        | PgError::Other(text) => DbError::Unreachable(text),
        PgError::BadParameter(text) | PgError::ValueConversionFailed(text) => {
            DbError::Unexpected(text)
        }
    }
}
