//! Servers that are stopped, restarted or hang, and what the service makes of it.

mod overload;
mod postgres;
mod redis;
mod replica;
