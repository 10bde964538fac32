//! The store as its callers see it, and as a kill leaves it.

#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;
mod crash;
mod model;
