//! Two product services that answer `GET /api/products/{id}/` in the format that the order
//! service expects.
//!
//! - [`catalogue`]: a few thousand products, the same on every machine. The binary
//!   `sample-products` serves them, so that the order service can be tried at once.
//! - [`scripted`]: a service that replies what a test tells it to, and remembers every request.
//!
//! Deliberately absent: stock that goes down, and any way to change a product. The order service
//! only ever reads.

pub mod catalogue;
pub mod scripted;
pub mod server;

pub use catalogue::Catalogue;
pub use scripted::{Reply, ScriptedProducts};
