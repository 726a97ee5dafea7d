//! `/health` and `/ready`.

use core::time::Duration;
use std::time::Instant;

use axum::response::Response;
use futures_util::future::{join, join4};
use http::StatusCode;
use serde::Serialize;

use super::envelope;
use crate::auth::{WITHOUT_TOKENS, key_set, warn_without_tokens};
use crate::config::callers::Callers;
use crate::context::Context;
use crate::error::Error;
#[cfg(test)]
use crate::openapi::schemas;
use crate::platform::postgres::DbError;
use crate::platform::time::Deadline;
use crate::telemetry::metrics::count;
use crate::telemetry::metrics::families::{PROBES, PROBES_FAILED};
use crate::{cache, db, products};

/// How long a dependency has to answer.
const LIMIT: Duration = Duration::from_secs(1);

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Health {
    service: String,
    version: &'static str,
    environment: String,
}

/// Alive; touches no dependency.
pub async fn health(context: Context) -> Result<Response, Error> {
    let health = Health {
        service: context.config.service_name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        environment: context.config.environment.clone(),
    };
    envelope::data(StatusCode::OK, &health)
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Readiness {
    /// `ready` or `degraded`.
    #[cfg_attr(test, schema(schema_with = schemas::readiness))]
    state: &'static str,
    database: Dependency,
    cache: Dependency,
    products: Products,
    /// Where the keys of tokens are fetched, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    keys: Option<Dependency>,
    authentication: Authentication,
}

/// How callers are told apart.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Authentication {
    /// `jwt`, or `none`.
    #[cfg_attr(test, schema(schema_with = schemas::authentication_mode))]
    mode: &'static str,
    /// What follows from `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    warning: Option<&'static str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Dependency {
    /// `up` or `down`.
    #[cfg_attr(test, schema(schema_with = schemas::dependency_state))]
    state: &'static str,
    /// How long it took to answer, or to fail.
    latency_ms: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Products {
    /// `up` or `down`.
    #[cfg_attr(test, schema(schema_with = schemas::dependency_state))]
    state: &'static str,
    /// How long it took to answer, or to fail.
    latency_ms: u64,
    /// The status of the answer; null if there was none.
    #[cfg_attr(test, schema(required, minimum = 100, maximum = 999))]
    status: Option<u16>,
    /// Whether the instance that answers asks the product service for prices: `closed` if it
    /// does, `open` if not, because that failed a moment ago, `half_open` if it tries.
    #[cfg_attr(test, schema(schema_with = schemas::breaker_state))]
    breaker: &'static str,
}

/// Fit to serve orders: the database answers and has the tables.
pub async fn ready(context: Context) -> Result<Response, Error> {
    let callers = context.config.callers.as_ref();
    let callers = callers.map_err(|bad| Error::NotSetUp(bad.clone()))?;
    let deadline = context.deadline.at_most(LIMIT);
    let ((database, latency_ms), cache, products, keys) = join4(
        timed(deadline, db::migrations::check(&context, deadline)),
        probe(deadline, cache::ping(&context)),
        probe_products(&context, deadline),
        // Boxed, as it needs a lot of room, and most of the time there is nothing to ask.
        Box::pin(probe_keys(&context, callers, deadline)),
    )
    .await;
    if callers.tokens.is_none() {
        warn_without_tokens(&context);
    }
    match database {
        Some(Ok(())) => {}
        // Names what is missing.
        Some(Err(error @ DbError::NotMigrated(_))) => return Err(error.into()),
        _ => return Err(Error::NotReady),
    }
    let all_up =
        cache.is_up() && products.state == UP && keys.as_ref().is_none_or(Dependency::is_up);
    let readiness = Readiness {
        state: if all_up { "ready" } else { "degraded" },
        database: Dependency {
            state: UP,
            latency_ms,
        },
        cache,
        products,
        keys,
        authentication: match callers.tokens {
            Some(_) => Authentication {
                mode: "jwt",
                warning: None,
            },
            None => Authentication {
                mode: "none",
                warning: Some(WITHOUT_TOKENS),
            },
        },
    };
    envelope::data(StatusCode::OK, &readiness)
}

async fn probe(deadline: Deadline, work: impl Future<Output = bool> + Send) -> Dependency {
    let (up, latency_ms) = timed(deadline, work).await;
    Dependency {
        state: state(up.unwrap_or(false)),
        latency_ms,
    }
}

/// Whether there are keys, if they are to be fetched.
async fn probe_keys(
    context: &Context,
    callers: &Callers,
    deadline: Deadline,
) -> Option<Dependency> {
    let url = callers.tokens.as_ref()?.keys.url()?;
    Some(probe(deadline, key_set::is_there(context, url)).await)
}

/// A product service that has nothing at the path of its health check is up as well; one that
/// refuses the request would refuse those for products too.
async fn probe_products(context: &Context, deadline: Deadline) -> Products {
    let ((status, latency_ms), ()) = join(
        timed(deadline, products::ping(context)),
        products::breaker::inform(context),
    )
    .await;
    let status = status.flatten();
    let is_up = status.is_some_and(|it| it.is_success() || it == StatusCode::NOT_FOUND);
    count(&PROBES, &[]);
    if !is_up {
        count(&PROBES_FAILED, &[]);
    }
    Products {
        state: state(is_up),
        latency_ms,
        status: status.map(|status| status.as_u16()),
        breaker: products::breaker::state(),
    }
}

/// The result of `work`, if it came in time, and how long it took, in milliseconds.
async fn timed<T>(deadline: Deadline, work: impl Future<Output = T> + Send) -> (Option<T>, u64) {
    let started = Instant::now();
    let result = deadline.limit(work).await.ok();
    let elapsed = started.elapsed().as_millis();
    (result, u64::try_from(elapsed).unwrap_or(u64::MAX))
}

const UP: &str = "up";

fn state(is_up: bool) -> &'static str {
    if is_up { UP } else { "down" }
}

impl Dependency {
    fn is_up(&self) -> bool {
        self.state == UP
    }
}
