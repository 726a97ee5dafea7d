//! What spans several stores.

pub mod change;
pub mod follow;
pub mod place;
pub mod read;
