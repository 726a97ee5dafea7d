//! The guard in front of every route: who calls, how often, and whether the caller may.

use http::{HeaderMap, Uri};

use super::routing::Route;
use crate::auth::access::Access;
use crate::auth::{Caller, admit, identify, warn_without_tokens};
use crate::config::callers::Callers;
use crate::context::Context;
use crate::domain::bounds::{HEADERS_MAX_BYTES, URI_MAX_BYTES};
use crate::error::Error;
use crate::limits::{self, Holder, Standing, address};

/// What the guard says of a request.
#[derive(Debug)]
pub struct Verdict {
    /// The caller, if it may pass.
    pub caller: Result<Caller, Error>,
    /// How the caller stands with its limit, if there is one.
    pub standing: Option<Standing>,
}

/// Whether a request is small enough to be looked at.
pub fn check_size(uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let query = uri.query().map_or(0, str::len);
    if uri.path().len().saturating_add(query) > URI_MAX_BYTES {
        return Err(Error::UriTooLong);
    }
    let lengths = headers.iter().map(|(name, value)| {
        let name = name.as_str().len();
        name.saturating_add(value.len())
    });
    let sum = lengths.fold(0, usize::saturating_add);
    if sum > HEADERS_MAX_BYTES {
        return Err(Error::HeadersTooLarge);
    }
    Ok(())
}

/// Whether what is here is not to be shown to anybody.
pub fn is_hidden(context: &Context, access: Access) -> bool {
    context
        .config
        .callers
        .as_ref()
        .is_ok_and(|it| match access {
            Access::Metrics => !it.expose_metrics,
            Access::Docs => !it.expose_docs,
            _ => false,
        })
}

/// Decides on a request for this route. A caller with a good token is limited by its user,
/// everybody else by the address.
pub async fn judge(context: &Context, route: &Route, headers: &HeaderMap) -> Verdict {
    let mut standing = None;
    let caller = match (&context.config.callers, route.access) {
        (_, Access::Probe) => Ok(Caller::default()),
        (Err(bad), _) => Err(Error::Misconfigured(bad.clone())),
        (Ok(callers), access) => enter(context, callers, access, headers, &mut standing).await,
    };
    Verdict { caller, standing }
}

async fn enter(
    context: &Context,
    callers: &Callers,
    access: Access,
    headers: &HeaderMap,
    standing: &mut Option<Standing>,
) -> Result<Caller, Error> {
    // Boxed, as what follows on a limit: requests that need neither do without the room for it.
    let identity = match &callers.tokens {
        Some(rules) if access.scope().is_some() => {
            Some(Box::pin(identify(context, rules, headers)).await)
        }
        _ => None,
    };
    if callers.tokens.is_none() {
        warn_without_tokens(context);
    }
    if let Some(limit) = callers.rate_limit {
        let client;
        let holder = if let Some(Ok(identity)) = &identity {
            Holder::User(&identity.subject)
        } else {
            client = address::client(headers, callers.client_address_header.as_ref());
            Holder::Address(&client)
        };
        *standing = Box::pin(limits::take(context, limit, holder)).await;
        standing.map_or(Ok(()), Standing::check)?;
    }
    match identity {
        Some(identity) => admit(&identity?, access),
        None => Ok(Caller::default()),
    }
}
