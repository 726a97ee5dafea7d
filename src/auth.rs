//! Who calls, and what belongs to them.
//!
//! With `auth_mode=jwt` a caller shows a bearer token, [`identify`] verifies it, and [`admit`]
//! decides by the table of routes what the caller reaches. Whatever is refused gets the same
//! answer; the reason is in the log.

pub mod access;
pub mod key_set;
mod remembered;

use core::cell::Cell;
use core::time::Duration;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::config::Level;
use crate::context::Context;
use crate::error::Error;
use crate::identity::Unauthenticated;
use crate::identity::keys::KeySource;
use crate::identity::token::{self, Identity, TokenRules};
use crate::platform::redis::{Argument, Patience, Value, execute};
use crate::platform::spawn;
use crate::telemetry::log;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::AUTHENTICATIONS;
use access::Access;

/// What is told at the start and at `/ready` where nobody shows a token.
pub const WITHOUT_TOKENS: &str =
    "auth_mode is none: whoever reaches the service may read and change every order";

/// How often the log says so, in seconds, whatever the number of instances.
const WARN_EVERY_S: i64 = 3600;

thread_local! {
    static WARNED: Cell<bool> = const { Cell::new(false) };
}

/// Warns in the log that nobody shows a token, once an hour: the first instance to ask Redis
/// does it for all.
pub fn warn_without_tokens(context: &Context) {
    if WARNED.replace(true) || context.config.log_level < Level::Warn {
        return;
    }
    let context = context.clone();
    spawn(async move {
        let arguments = vec![
            Argument::Text(context.config.redis_key("warned:auth-mode")),
            Argument::Text(String::new()),
            Argument::Text("NX".into()),
            Argument::Text("EX".into()),
            Argument::Number(WARN_EVERY_S),
        ];
        let patience = Patience::of(Duration::from_secs(1));
        match execute(&context.config.redis_url, "SET", arguments, patience).await {
            Ok(values) if matches!(values.first(), Some(Value::Status(_))) => {
                log::raw(Level::Warn, WITHOUT_TOKENS);
            }
            // It has been said, or the next instance will say it.
            _ => {}
        }
    });
}

/// A caller that was let in, and how far it reaches.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The user that the caller is; `None` where nobody shows tokens.
    user: Option<Arc<str>>,
    /// Whether nothing but what is the user's own is there for the caller.
    own_only: bool,
    /// Whether the caller may look at its own, and no more.
    see_only: bool,
}

impl Caller {
    /// The user in whose name an order is placed that names none.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user whose orders alone are there for the caller; `None` if all are.
    pub fn owner(&self) -> Option<&str> {
        self.user().filter(|_| self.own_only)
    }

    /// Whether the caller reaches what belongs to this user.
    pub fn reaches(&self, user_id: &str) -> bool {
        self.owner().is_none_or(|owner| owner == user_id)
    }

    /// Whether the caller may look at its own order, and no more.
    pub fn may_only_see(&self) -> bool {
        self.see_only
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    /// What the guard has left. A route that it does not know has no caller, and so no order.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Error::Internal("nobody has let the caller in".into()))
    }
}

/// What an identity may do by these rules of access.
pub fn admit(identity: &Identity, access: Access) -> Result<Caller, Error> {
    let has_scope = access
        .scope()
        .is_none_or(|scope| identity.scopes.has(scope));
    if matches!(access, Access::Staff(_)) && !has_scope {
        return Err(Error::Forbidden);
    }
    Ok(Caller {
        user: Some(identity.subject.clone()),
        own_only: !has_scope,
        see_only: !has_scope && matches!(access, Access::SeeOwn(_)),
    })
}

/// The caller's identity, by its token.
pub async fn identify(
    context: &Context,
    rules: &TokenRules,
    headers: &HeaderMap,
) -> Result<Identity, Error> {
    let identity = match bearer(headers) {
        Ok(token) => by_token(context, rules, token).await,
        Err(reason) => Err(Error::from(reason)),
    };
    let result = match &identity {
        Ok(_) => "accepted",
        Err(Error::Unauthenticated(Unauthenticated::NoToken)) => "missing",
        Err(Error::Unauthenticated(_)) => "refused",
        Err(_) => "unavailable",
    };
    count(&AUTHENTICATIONS, &[result]);
    identity
}

/// The token of the request.
fn bearer(headers: &HeaderMap) -> Result<&str, Unauthenticated> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Unauthenticated::NoToken)?;
    if values.next().is_some() {
        return Err(Unauthenticated::BadToken("there are two"));
    }
    let value = value.to_str().unwrap_or_default();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        // Credentials of another kind are none.
        _ => Err(Unauthenticated::NoToken),
    }
}

async fn by_token(context: &Context, rules: &TokenRules, token: &str) -> Result<Identity, Error> {
    let keys = match &rules.keys {
        KeySource::Given(keys) => keys.clone(),
        KeySource::Url(url) => {
            let keys = key_set::current(context, url).await;
            keys.ok_or(Error::NoKeys)?
        }
    };
    // After the keys: when they change, what they have verified is forgotten.
    if let Some(identity) = remembered::get(token, now_s()) {
        return Ok(identity);
    }
    let bad = |reason| Error::from(Unauthenticated::BadToken(reason));
    let header = token::header(token).map_err(bad)?;
    let mut identity = token::verify(token, &header, &keys, rules).map_err(bad)?;
    if identity.is_none()
        && let KeySource::Url(url) = &rules.keys
        && let Some(newer) = key_set::newer(context, url, &keys).await
    {
        identity = token::verify(token, &header, &newer, rules).map_err(bad)?;
    }
    let identity = identity.ok_or_else(|| bad("its key is unknown"))?;
    remembered::put(token, &identity);
    Ok(identity)
}

/// Seconds since 1970.
fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
