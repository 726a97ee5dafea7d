//! How often a caller may call: a bucket of requests for each user, or for each client address
//! where the user is not known. The buckets are in Redis, so that all replicas share them; one
//! script looks and takes in one step, by the clock of Redis.
//!
//! Without Redis there is no limit: it is there to keep one client from crowding out the others,
//! and refusing everybody would do what it is to prevent. What passes unchecked is counted.

pub mod address;

use core::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use sha2::Sha256;

use crate::config::callers::RateLimit;
use crate::context::Context;
use crate::error::Error;
use crate::platform::redis::{Argument, Patience, RedisFailure, Value, run_script};
use crate::telemetry::log;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::LIMITS;

pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A request must not wait longer than this to hear whether it may be served. In a flood Redis
/// answers late too, and just then nobody should pass for that.
const PATIENCE: Patience = Patience::of(Duration::from_millis(500));

/// Takes one request out of the bucket, which is kept as the moment at which it will be full
/// again. Answers whether there was one, how many are left, and how many microseconds it takes
/// until it is full or, when there was none, until there is one.
const TAKE: &str = "
local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
local interval, size = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('get', KEYS[1]) or 0), now) + interval
local wait = full_at - now - interval * size
if wait > 0 then return {0, 0, wait} end
redis.call('set', KEYS[1], string.format('%.0f', full_at), 'px', math.ceil((full_at - now) / 1000))
return {1, math.floor(-wait / interval), full_at - now}";

/// How a caller stands after a request, for the headers of its response.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    limit: RateLimit,
    /// Whether there was a request left for this one.
    allowed: bool,
    /// Requests that are left.
    left: u64,
    /// Until the bucket is full, or has the next request.
    wait: Duration,
}

/// Who a bucket belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    User(&'a str),
    Address(&'a str),
}

/// Microseconds in which one request comes.
fn interval_us(limit: RateLimit) -> i64 {
    let interval = 1_000_000_i64.checked_div(limit.per_s.into());
    interval.unwrap_or(1).max(1)
}

/// Takes one of the holder's requests; `None` if nobody knows how many are left.
pub async fn take(context: &Context, limit: RateLimit, holder: Holder<'_>) -> Option<Standing> {
    match ask(context, limit, holder).await {
        Ok(standing) => {
            let result = if standing.allowed {
                "allowed"
            } else {
                "refused"
            };
            count(&LIMITS, &[result]);
            Some(standing)
        }
        Err(error) => {
            count(&LIMITS, &["unchecked"]);
            let error = error.to_string();
            log::degradation(&context.config, "requests pass without a limit", &error);
            None
        }
    }
}

async fn ask(
    context: &Context,
    limit: RateLimit,
    holder: Holder<'_>,
) -> Result<Standing, RedisFailure> {
    let keys = vec![Argument::Text(key(context, holder))];
    let (interval, size) = (interval_us(limit), limit.burst.into());
    let arguments = [interval, size].map(Argument::Number).to_vec();
    let url = &context.config.redis_url;
    let values = run_script(url, TAKE, keys, arguments, PATIENCE).await?;
    let number = |index: usize| match values.get(index) {
        Some(Value::Int64(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    match (number(0), number(1), number(2)) {
        (Some(allowed), Some(left), Some(wait_us)) => Ok(Standing {
            limit,
            allowed: allowed == 1,
            left,
            wait: Duration::from_micros(wait_us),
        }),
        _ => Err(RedisFailure::Failed("it answered something else".into())),
    }
}

/// Hosts write keys into their spans, and a user or an address is personal data: the key has a
/// hash of it that only those can make who may connect to Redis anyway.
fn key(context: &Context, holder: Holder<'_>) -> String {
    let (kind, name) = match holder {
        Holder::User(name) => ("user", name),
        Holder::Address(name) => ("address", name),
    };
    let config = &context.config;
    let mut tag = String::new();
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(config.redis_url.as_bytes()) {
        mac.update(kind.as_bytes());
        mac.update(b" ");
        mac.update(name.as_bytes());
        tag = uuid::Builder::from_slice(mac.finalize().into_bytes().get(..16).unwrap_or_default())
            .map(|builder| builder.into_uuid().simple().to_string())
            .unwrap_or_default();
    }
    config.redis_key(format_args!("limit:{kind}:{tag}"))
}

impl Standing {
    /// # Errors
    /// There was no request left.
    pub fn check(self) -> Result<(), Error> {
        self.allowed
            .then_some(())
            .ok_or(Error::RateLimited(self.wait))
    }

    /// Tells the client how it stands (draft-ietf-httpapi-ratelimit-headers).
    pub fn write(self, headers: &mut HeaderMap) {
        let RateLimit { per_s, burst } = self.limit;
        let window = u64::from(burst).div_ceil(per_s.max(1).into());
        let policy = format!("\"requests\";q={burst};w={window}");
        let standing = format!("\"requests\";r={};t={}", self.left, seconds(self.wait));
        if let (Ok(policy), Ok(standing)) = (
            HeaderValue::try_from(policy),
            HeaderValue::try_from(standing),
        ) {
            headers.insert(RATE_LIMIT_POLICY, policy);
            headers.insert(RATE_LIMIT, standing);
        }
    }
}

/// Whole seconds, at least one.
fn seconds(wait: Duration) -> u128 {
    wait.as_millis().div_ceil(1000).max(1)
}
