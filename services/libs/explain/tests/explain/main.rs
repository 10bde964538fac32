//! Chains over the log that a real owner wrote in the simulation.

#![forbid(unsafe_code)]

mod chains;
mod finding;
mod shop;
mod trouble;
