//! The connector from the outside: sockets on this machine, a log in memory with
//! faults, a vault in a folder that goes away.

mod accepting;
mod beating;
mod client;
mod log;
mod refusing;
mod shop;
mod stopping;
mod waiting;
