//! The store as its callers and its disk see it.

#![forbid(unsafe_code)]

mod common;
mod crash;
mod damage;
mod model;
mod owner;
