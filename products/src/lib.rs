//! Two product services that answer `GET /api/products/{id}/` in the format that the order
//! service expects.
//!
//! - [`catalogue`]: a few thousand products, the same on every machine. The binary
//!   `sample-products` serves them, so that the order service can be tried at once.
//! - [`scripted`]: a service that replies what a test tells it to, and remembers every request.
//! - [`stock`]: the catalogue's stock, which can be taken and given back.
//! - [`faults`]: lets a part of the requests fail.
//!
//! Deliberately absent: any way to change a product but for its stock. The order service itself
//! only ever reads.

pub mod catalogue;
pub mod faults;
pub mod scripted;
pub mod server;
pub mod stock;

pub use catalogue::Catalogue;
pub use scripted::{Reply, ScriptedProducts};
