//! Postgres: one function for each statement.

pub mod events;
mod gate;
pub mod migrations;
pub mod orders;
pub mod replica;
