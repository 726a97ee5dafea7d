//! The connections of an instance to Postgres, and who may use them.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use futures_util::lock::Mutex;
// Its own `Connection` can read certificates from files, and every component that may do so has
// the standard library's way into the file system linked in.
use spin_sdk::pg::wit::postgres::{Connection, ConnectionBuilder};
use spin_sdk::pg::{ParameterValue, PgError};

use super::{DbError, Row, Until, classify, row};
use crate::platform::spawn;
use crate::platform::time::{Deadline, sleep};

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
/// How long a request waits at most for the connection that another one opens; not longer than a
/// quarter of its time. It may be opened in vain, to a server that is gone while there is a new one
/// at the same address.
const TURN_MAX: Duration = Duration::from_secs(1);
/// The host has lent all when it takes that long to lend one.
const CONTENDED: Duration = Duration::from_millis(20);

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
    opened_at: Instant,
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
pub struct Lease(Rc<Slot>);

impl Lease {
    /// A connection that is there, if it was opened since then; if none is, a new one. Requests that
    /// need one at the same time wait for one together: each would take another from the host, that
    /// others wait for.
    pub async fn take(
        address: &str,
        since: Option<Instant>,
        deadline: Deadline,
    ) -> Result<Self, DbError> {
        if let Some(lease) = Self::share(address, since) {
            return Ok(lease);
        }
        let opening =
            OPENING.with_borrow_mut(|all| all.entry(address.to_owned()).or_default().clone());
        let wait = deadline.left().checked_div(4).unwrap_or_default();
        let turn = deadline.at_most(wait.min(TURN_MAX)).limit(opening.lock());
        let turn = turn.await;
        if turn.is_err() {
            // Who comes now need not wait for it as well.
            OPENING.with_borrow_mut(|all| all.retain(|_, turn| !Rc::ptr_eq(turn, &opening)));
        }
        match Self::share(address, since) {
            Some(lease) => Ok(lease),
            None => Self::open(address, deadline).await,
        }
    }

    /// The connection with the least to do of those that make progress; if none does, any, when
    /// there are enough.
    fn share(address: &str, since: Option<Instant>) -> Option<Self> {
        let slot = SLOTS.with_borrow(|slots| {
            let full = count(slots, address) >= CONNECTIONS_MAX;
            let least_busy = |fits: fn(&&Rc<Slot>) -> bool| {
                let slots = slots.iter().filter(|slot| slot.address == address);
                let slots = slots.filter(|slot| since.is_none_or(|since| slot.opened_at >= since));
                let slots = slots.filter(fits);
                slots.min_by_key(|slot| Rc::strong_count(slot)).cloned()
            };
            let in_progress = least_busy(|slot| slot.makes_progress());
            in_progress.or_else(|| least_busy(|_| true).filter(|_| full))
        })?;
        if Rc::strong_count(&slot) == 2 {
            slot.answered_at.set(Instant::now());
        }
        Some(Self(slot))
    }

    async fn open(address: &str, deadline: Deadline) -> Result<Self, DbError> {
        let started = Instant::now();
        let connection = match deadline.limit(connect(address)).await {
            Ok(result) => result.map_err(classify)?,
            Err(_) => return Err(DbError::TooSlow),
        };
        let lease = Self(Rc::new(Slot {
            address: address.to_owned(),
            connection,
            opened_at: Instant::now(),
            answered_at: Cell::new(Instant::now()),
        }));
        let is_contended = started.elapsed() > CONTENDED;
        lease.keep(if is_contended { HOLD_CONTENDED } else { HOLD });
        Ok(lease)
    }

    /// Lets other statements use the connection for a while, if there are too few.
    fn keep(&self, hold: Duration) {
        let kept = SLOTS.with_borrow_mut(|slots| {
            let room = count(slots, &self.0.address) < CONNECTIONS_MAX;
            if room {
                slots.push(self.0.clone());
            }
            room
        });
        if kept {
            let slot = Rc::downgrade(&self.0);
            spawn(async move {
                sleep(hold).await;
                if let Some(slot) = slot.upgrade() {
                    forget(&slot);
                }
            });
        }
    }

    pub async fn run(
        &self,
        statement: &str,
        params: Vec<ParameterValue>,
        until: Until,
        deadline: Deadline,
    ) -> Result<Option<Row>, DbError> {
        // Nothing has been asked of the connection, which is kept.
        if deadline.left().is_zero() {
            return Err(DbError::TooSlow);
        }
        let work = row(&self.0.connection, statement, params, until);
        let result = match deadline.limit(work).await {
            Ok(result) => result,
            Err(_) => Err(DbError::TooSlow),
        };
        self.0.answered_at.set(Instant::now());
        if matches!(result, Err(DbError::Unreachable(_) | DbError::TooSlow)) {
            forget(&self.0);
        }
        result
    }
}

/// Gives the connection back when the statements under way on it are done.
fn forget(gone: &Rc<Slot>) {
    SLOTS.with_borrow_mut(|slots| slots.retain(|slot| !Rc::ptr_eq(slot, gone)));
}
