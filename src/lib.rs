//! The order service: one WebAssembly component that handles every HTTP route.
//!
//! A guided tour, in the order in which a request travels:
//!
//! - [`routes`]: the whole URL table
//! - [`http`]: from a request to a handler, from a result to a response
//! - [`auth`]: who calls, and what belongs to them
//! - [`identity`]: who a token says its bearer is; pure code
//! - [`limits`]: how often a caller may call
//! - [`domain`]: what an order is and what may happen to it; pure code
//! - [`app`]: what spans several stores: placing an order, changing its status
//! - [`db`]: Postgres, one function for each statement
//! - [`cache`]: orders in Redis, never older than what was there
//! - [`products`]: the product service, with its time-outs and retries
//! - [`telemetry`]: log lines, counters and trace context
//! - [`platform`]: the only code that names `spin_sdk`
//! - [`config`]: Spin variables, read once per instance
//! - `openapi` (tests only): the `OpenAPI` document, made from all of the above
//! - [`context`]: what every step needs to know about the request it serves
//! - [`error`]: one error type, one place where it becomes a response
//!
//! Invariants and decisions are explained in ARCHITECTURE.md.

pub mod app;
pub mod auth;
pub mod cache;
pub mod config;
pub mod context;
pub mod db;
pub mod domain;
pub mod error;
pub mod http;
pub mod identity;
pub mod limits;
#[cfg(test)]
mod openapi;
pub mod platform;
pub mod products;
pub mod routes;
pub mod telemetry;

/// What the Spin HTTP trigger calls.
#[cfg(target_family = "wasm")]
mod entry {
    use spin_sdk::wasip3::exports::http::handler::Guest;
    use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

    use crate::platform::http_server;
    use crate::{http, routes};

    struct Component;
    spin_sdk::wasip3::http::service::export!(Component);

    impl Guest for Component {
        async fn handle(request: Request) -> Result<Response, ErrorCode> {
            http_server::answer(request, |request| http::serve(request, routes::ROUTES)).await
        }
    }
}
