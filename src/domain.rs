//! What an order is and what may happen to it: pure code, no I/O and no `spin_sdk`.

pub mod body;
pub mod bounds;
pub mod cursor;
pub mod idempotency;
pub mod list;
pub mod money;
pub mod number;
pub mod order;
pub mod placing;
pub mod preconditions;
pub mod pricing;
pub mod problem;
pub mod status;

#[cfg(test)]
mod properties;
