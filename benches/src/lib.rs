//! Measurements and endurance runs. `README.md` names each with its command.

#![forbid(unsafe_code)]

pub mod broker;
pub mod http;
pub mod machine;
pub mod processes;
pub mod verdict;
