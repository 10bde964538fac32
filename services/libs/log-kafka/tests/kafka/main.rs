//! The log on real brokers, each started by `deploy/kafka/local` for one test.

#![forbid(unsafe_code)]

mod absence;
mod broker;
mod contract;
mod faults;
mod forgotten;
mod groups;
mod leaderless;
mod local;
mod unreachable;
