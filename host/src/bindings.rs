//! The Spin interfaces of `wit/world.wit`, generated at build time (see `build.rs`).

#![allow(clippy::pedantic, missing_docs, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
