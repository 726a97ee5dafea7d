//! The only code that names `spin_sdk`: connections, receiving, sending, spawning and time.
//!
//! Futures of host calls are not `Send`, while axum wants handlers that are. An instance has
//! one thread, so each function here wraps its future once and its callers need not care.

pub mod headers;
pub mod http_client;
pub mod http_server;
pub mod postgres;
pub mod random;
pub mod redis;
pub mod time;
pub mod variables;

use core::future::Future;

/// Lets work go on after the response has been returned. It is lost if the instance dies, so
/// nothing that must happen belongs here.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    spin_sdk::wasip3::spawn(work);
}
