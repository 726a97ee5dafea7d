//! A stand-in for `spin up`, for machines without the Spin CLI.
//!
//! It runs the application in a `spin.toml` on Wasmtime, the engine that Spin itself uses, and
//! behaves like Spin 4.0 in what a component can notice: variables and templates, allowed
//! outbound hosts, mounted files, the Postgres pool, Redis connections, outbound HTTP, the reuse
//! of instances, what a trap does, and the traces that are exported.
//!
//! **It is for development and tests, not for production.** It has no TLS on any side, keeps no
//! logs of its own, and has not been hardened. What it does not have it refuses by name.
//!
//! | module | |
//! |---|---|
//! | [`manifest`] | reading `spin.toml` |
//! | [`variables`] | variables, their sources, templates |
//! | [`allowed_hosts`] | where a guest may connect to |
//! | [`runtime_config`] | reading `runtime-config.toml` |
//! | [`routes`] | which paths lead to the component |
//! | `engine`, `state` | Wasmtime: compiled components, instances |
//! | `server` | requests in, responses out, reuse of instances |
//! | `outbound_pg`, `outbound_redis`, `outbound_http`, `variables_host` | what a guest can call |
//! | `telemetry` | traces over OTLP |
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let host = spin_standin::Standin::new("spin.toml")
//!     .variable("database_url", "postgres://orders@127.0.0.1/orders?sslmode=disable")
//!     .start()
//!     .await?;
//! println!("listening on http://{}", host.address());
//! host.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod allowed_hosts;
mod app;
mod bindings;
mod engine;
mod files;
pub mod manifest;
mod outbound_http;
mod outbound_pg;
mod outbound_redis;
mod output;
pub mod routes;
pub mod runtime_config;
mod server;
mod standin;
mod state;
mod telemetry;
pub mod variables;
mod variables_host;

pub use crate::output::{Capture, Output};
pub use crate::standin::{Running, Standin};
