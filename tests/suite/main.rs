//! The suite: every promise of the HTTP contract, asked of the real component.
//!
//! The modules follow the URLs: what `POST /api/orders` must do is in `orders/create….rs`. What
//! belongs to no single URL has a module of its own.

mod archive;
mod auth;
mod budget;
mod component;
mod connections;
mod counters;
mod docs;
mod erasure;
mod events;
mod health;
mod manifest;
mod memory;
mod migrations;
mod modules;
mod orders;
mod outages;
mod plans;
mod products;
mod ready;
mod requests;
mod rollout;
mod routes;
mod scale;
mod telemetry;
mod users;
