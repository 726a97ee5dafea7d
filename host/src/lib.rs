//! A stand-in for `spin up`, for machines without the Spin CLI.
//!
//! It runs the application in a `spin.toml` on Wasmtime, the engine that Spin itself uses, and
//! behaves like Spin 4.0 in what a component can notice: variables and templates, allowed
//! outbound hosts, the Postgres pool, Redis connections, outbound HTTP, the reuse
//! of instances, what a trap does, and the traces that are exported.
//!
//! **It is for development and tests, not for production.** It has not been hardened, and what it
//! does not have it refuses by name. What differs from Spin 4.0.2:
//!
//! - one component, reached over HTTP; exact routes and a trailing `/...` only;
//! - TLS to Postgres and Redis only: outbound `https://` and an `https://` collector fail with an
//!   error that says so; it is rustls, where Spin has the system's OpenSSL;
//! - variables come from the command line and the environment, not from a `.env` file or a vault;
//! - no log files: the guest's output goes to this process's own, each stream to its own;
//! - no `/.well-known/spin/info`; of WASI, no sockets, and of WASIp3 only HTTP, clocks and random;
//! - of telemetry, traces only (`spin.*` metrics and logs are not exported);
//! - with traces on, an instance takes one request at a time instead of 16. Wasmtime does not tell
//!   a host which request a guest's call belongs to, and so it is known. Spin 4.0.2 keeps 16 and
//!   does not know: by its source, the spans of a WASIp3 component's calls have no parent there,
//!   and an outbound request carries that unknown trace's `traceparent`.
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
