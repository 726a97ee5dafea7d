//! `/health` and `/ready`.

use core::time::Duration;
use std::time::Instant;

use axum::response::Response;
use futures_util::future::join3;
use http::StatusCode;
use serde::Serialize;

use super::envelope;
use crate::context::Context;
use crate::error::Error;
#[cfg(test)]
use crate::openapi::schemas;
use crate::platform::time::Deadline;
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
    /// `ready`, `degraded` or `unavailable`.
    #[cfg_attr(test, schema(schema_with = schemas::readiness))]
    state: &'static str,
    database: Dependency,
    cache: Dependency,
    products: Dependency,
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

/// Fit to serve orders: the database answers and has the tables.
pub async fn ready(context: Context) -> Result<Response, Error> {
    let deadline = context.deadline.at_most(LIMIT);
    let (database, cache, products) = join3(
        probe(deadline, db::migrations::are_applied(&context, deadline)),
        probe(deadline, cache::ping(&context)),
        probe(deadline, products::ping(&context)),
    )
    .await;
    let all_up = database.is_up() && cache.is_up() && products.is_up();
    let (status, state) = match (database.is_up(), all_up) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (true, false) => (StatusCode::OK, "degraded"),
        (true, true) => (StatusCode::OK, "ready"),
    };
    let readiness = Readiness {
        state,
        database,
        cache,
        products,
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return Err(Error::NotReady);
    }
    envelope::data(status, &readiness)
}

async fn probe(deadline: Deadline, work: impl Future<Output = bool> + Send) -> Dependency {
    let started = Instant::now();
    let up = deadline.limit(work).await.unwrap_or(false);
    Dependency {
        state: if up { "up" } else { "down" },
        latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

impl Dependency {
    fn is_up(&self) -> bool {
        self.state == "up"
    }
}
