//! Postgres: one function for each statement.

pub mod events;
pub mod migrations;
pub mod orders;
