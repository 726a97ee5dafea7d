//! What the tests stand on.
//!
//! A test starts a [`TestApp`]: the real component on a host of its own, with a database of its
//! own, its own corner of Redis and a product service that does what the test says. Everything is
//! asserted over HTTP; what can only be seen in the database goes through helpers whose names
//! begin with `db_`.
//!
//! - [`app`]: [`TestApp`] and its settings
//! - [`client`]: the calls of the API and what came back
//! - [`bodies`]: request bodies that are valid until a test changes them
//! - [`feed`]: creating by key, and following the change feed
//! - [`tokens`]: tokens as identity providers sign them, and as nobody should
//! - [`lifecycle`]: orders on their way through their statuses
//! - [`seed`]: many orders at once
//! - [`database`], [`migrations`]: a migrated database per test, copied from a template
//! - [`link`]: the wire between the component and Postgres or Redis, which counts, cuts and hangs
//! - [`host`]: what runs the component: the stand-in, or the Spin that `SPIN` names
//! - [`collector`], [`scrape`]: what the service tells about itself: spans and metrics
//! - [`artifacts`]: builds the component before the first test

pub mod app;
pub mod artifacts;
pub mod bodies;
pub mod client;
pub mod collector;
pub mod database;
pub mod environment;
pub mod feed;
pub mod host;
pub mod lifecycle;
pub mod link;
pub mod migrations;
pub mod scrape;
pub mod seed;
pub mod tokens;
pub mod wait;

pub use app::{Builder, TestApp};
pub use client::{Call, Client, Reply};
