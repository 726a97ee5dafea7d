//! Stands for the crate of this name, which `jsonwebtoken` asks for on any wasm32 and uses where there
//! is JavaScript only: on WASI it is compiled for nothing, with `wasm-bindgen` and its macros.
