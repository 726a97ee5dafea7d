//! What spans several stores.

pub mod change;
pub mod place;
pub mod read;
