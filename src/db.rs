//! Postgres: one function for each statement.

pub mod migrations;
pub mod orders;
