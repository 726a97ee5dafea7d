//! The keys behind `auth_jwks_url`: held by the instance, kept in Redis for all instances, and
//! fetched from the URL when they are old or when a token names a key that is not among them.
//!
//! Redis decides who fetches: one instance at a time, and at most once a minute, however many
//! tokens with unknown keys arrive. When the URL does not answer, the last set goes on counting
//! for a day. What is in Redis is trusted, as the orders there are.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};

use super::{now_s, remembered};
use crate::context::Context;
use crate::identity::keys::Keys;
use crate::platform::redis::{self, Argument, Patience, RedisFailure, Value, execute};
use crate::platform::time::{Deadline, sleep};
use crate::platform::{http_client, spawn};
use crate::telemetry::log;

/// How long an instance goes without looking into Redis, where a newer set may be.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How old a set may get before it is fetched again, in seconds: so long does a key count
/// that its owner has withdrawn.
const FRESH_S: u64 = 300;
/// How long a set is kept when the URL does not answer, in seconds.
const KEEP_S: i64 = 86_400;
/// Between two fetches, in milliseconds.
const FETCH_PAUSE_MS: i64 = 60_000;
/// The same when a fetch failed and there are no keys at all.
const RETRY_PAUSE_MS: i64 = 2_000;
/// How long a fetch may take, whoever waits for it; its claim ends a little later, should the
/// instance die.
const FETCH_LIMIT: Duration = Duration::from_secs(3);
const CLAIM_MS: i64 = 5_000;
/// How long Redis has to say whose turn it is: who does not hear of it fetches as well.
const CLAIM_PATIENCE: Patience = Patience::of(Duration::from_secs(1));
/// Longest key set that is read, in bytes.
const SET_MAX_BYTES: usize = 256 * 1024;
/// How long an instance waits for another one's fetch.
const WAIT: Duration = Duration::from_secs(2);
const WAIT_STEP: Duration = Duration::from_millis(50);

/// A set of keys and when it was fetched, in seconds since 1970.
#[derive(Debug, Clone)]
struct Set {
    keys: Arc<Keys>,
    fetched_at_s: u64,
}

thread_local! {
    static HELD: RefCell<Option<Set>> = const { RefCell::new(None) };
    /// When Redis was last asked for a set.
    static LOOKED_AT: Cell<Option<Instant>> = const { Cell::new(None) };
    /// When this instance may fetch again, for times without Redis.
    static FETCH_FROM: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The current keys; without any, nobody can be told from anybody.
pub async fn current(context: &Context, url: &str) -> Option<Arc<Keys>> {
    let looked = LOOKED_AT.get().is_some_and(|at| at.elapsed() < LOOK_AGAIN);
    if looked && let Some(set) = held() {
        return Some(set.keys);
    }
    look(context).await;
    let fresh = held().is_some_and(|set| now_s().saturating_sub(set.fetched_at_s) < FRESH_S);
    if !fresh {
        // While it is fetched, the last set will do.
        let wait = held().map_or(WAIT, |_| Duration::ZERO);
        // Boxed, here and below: every request would have the room that it needs.
        Box::pin(renew(context, url, wait)).await;
    }
    held().map(|set| set.keys)
}

/// The keys, if there are others by now than `known`, which lack one that a token names.
pub async fn newer(context: &Context, url: &str, known: &Arc<Keys>) -> Option<Arc<Keys>> {
    let other = || {
        held()
            .map(|set| set.keys)
            .filter(|keys| !Arc::ptr_eq(keys, known))
    };
    if other().is_none() {
        Box::pin(renew(context, url, WAIT)).await;
    }
    other()
}

/// Takes the set in Redis if it is newer than the one held.
async fn look(context: &Context) {
    LOOKED_AT.set(Some(Instant::now()));
    let url = &context.config.redis_url;
    match redis::get(url, key(context, ""), Patience::BRIEF).await {
        Ok(entry) => {
            if let Some(entry) = entry
                && let Some((fetched_at_s, text)) = read_entry(&entry)
                && held().is_none_or(|set| set.fetched_at_s < fetched_at_s)
                && let Ok(keys) = Keys::of_jwks(text)
            {
                hold(keys, fetched_at_s);
            }
        }
        Err(error) => tell(context, &error.to_string()),
    }
}

/// An entry is `<seconds since 1970> <JWK set>`.
fn read_entry(entry: &[u8]) -> Option<(u64, &str)> {
    let (fetched_at_s, text) = core::str::from_utf8(entry).ok()?.split_once(' ')?;
    Some((fetched_at_s.parse().ok()?, text))
}

/// Fetches the set if it is this instance's turn; otherwise takes what another one has fetched. Who
/// can do with the last set has no time to wait for that, and the next one has the new one.
async fn renew(context: &Context, url: &str, wait: Duration) {
    match claim(context).await {
        Claim::Ours => {
            // It goes on when this request, or a probe of readiness, can wait no longer.
            let fetching = fetch(context.clone(), url.to_owned()).boxed().shared();
            spawn(fetching.clone());
            if !wait.is_zero() {
                let _ = context.deadline.limit(fetching).await;
            }
        }
        Claim::Done => look(context).await,
        Claim::UnderWay => {
            let before = held().map(|set| set.fetched_at_s);
            let limit = context.deadline.at_most(wait);
            while held().map(|set| set.fetched_at_s) == before && !limit.left().is_zero() {
                sleep(WAIT_STEP).await;
                look(context).await;
            }
        }
    }
}

/// Whose turn it is to fetch.
enum Claim {
    Ours,
    /// Another instance is about it.
    UnderWay,
    /// It was done within the last minute.
    Done,
}

async fn claim(context: &Context) -> Claim {
    let arguments = vec![
        Argument::Text(key(context, ":fetch")),
        Argument::Text("under-way".into()),
        Argument::Text("NX".into()),
        Argument::Text("GET".into()),
        Argument::Text("PX".into()),
        Argument::Number(CLAIM_MS),
    ];
    match execute(&context.config.redis_url, "SET", arguments, CLAIM_PATIENCE).await {
        Ok(values) => match values.first() {
            Some(Value::Binary(state)) if state == b"under-way" => Claim::UnderWay,
            Some(Value::Binary(_)) => Claim::Done,
            _ => Claim::Ours,
        },
        // Without Redis each instance counts for itself.
        Err(_) if FETCH_FROM.get().is_some_and(|from| Instant::now() < from) => Claim::Done,
        Err(_) => Claim::Ours,
    }
}

async fn fetch(context: Context, url: String) {
    let context = &context;
    let limit = Deadline::after(FETCH_LIMIT);
    let fetched = match limit.limit(get(&url)).await {
        Ok(result) => result,
        Err(elapsed) => Err(elapsed.to_string()),
    };
    let stored = match fetched.and_then(|text| Ok((Keys::of_jwks(&text)?, text))) {
        Ok((keys, text)) => {
            let now_s = now_s();
            hold(keys, now_s);
            store(context, &format!("{now_s} {text}")).await
        }
        Err(reason) => {
            tell(context, &reason);
            Ok(())
        }
    };
    let pause_ms = held().map_or(RETRY_PAUSE_MS, |_| FETCH_PAUSE_MS);
    let pause = Duration::from_millis(pause_ms.unsigned_abs());
    FETCH_FROM.set(Instant::now().checked_add(pause));
    let finished = match stored {
        Ok(()) => finish(context, pause_ms).await,
        Err(error) => Err(error),
    };
    if let Err(error) = finished {
        tell(context, &error.to_string());
    }
}

/// The text of the set.
async fn get(url: &str) -> Result<String, String> {
    let request = Request::get(url).header("accept", "application/jwk-set+json, application/json");
    let request = request.body(()).map_err(|error| error.to_string())?;
    let reply: Response<Bytes> = http_client::fetch(request, SET_MAX_BYTES)
        .await
        .map_err(|error| error.to_string())?;
    if reply.status() != StatusCode::OK {
        return Err(format!("it answered {}", reply.status()));
    }
    String::from_utf8(reply.into_body().to_vec()).map_err(|_| "it is not UTF-8".to_owned())
}

/// Keeps the set for all instances.
async fn store(context: &Context, entry: &str) -> Result<(), RedisFailure> {
    let arguments = vec![
        Argument::Text(key(context, "")),
        Argument::Text(entry.to_owned()),
        Argument::Text("EX".into()),
        Argument::Number(KEEP_S),
    ];
    execute(&context.config.redis_url, "SET", arguments, Patience::BRIEF).await?;
    Ok(())
}

/// Says that the fetch is over, and when the next one may be.
async fn finish(context: &Context, pause_ms: i64) -> Result<(), RedisFailure> {
    let arguments = vec![
        Argument::Text(key(context, ":fetch")),
        Argument::Text("done".into()),
        Argument::Text("PX".into()),
        Argument::Number(pause_ms),
    ];
    execute(&context.config.redis_url, "SET", arguments, Patience::BRIEF).await?;
    Ok(())
}

fn held() -> Option<Set> {
    HELD.with_borrow(Clone::clone)
}

/// Whoever was verified by other keys is verified again.
fn hold(keys: Keys, fetched_at_s: u64) {
    let keys = Arc::new(keys);
    HELD.set(Some(Set { keys, fetched_at_s }));
    remembered::forget_all();
}

fn key(context: &Context, suffix: &str) -> String {
    context.config.redis_key(format_args!("auth-keys{suffix}"))
}

fn tell(context: &Context, cause: &str) {
    log::degradation(
        &context.config,
        "the keys of tokens cannot be renewed",
        cause,
    );
}

/// Whether there are keys, for `/ready`.
pub async fn is_there(context: &Context, url: &str) -> bool {
    current(context, url).await.is_some()
}
