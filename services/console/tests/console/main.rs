//! The console from the outside: a socket on this machine, a log in memory that a
//! real owner wrote, a vault in a folder that goes away.

#![forbid(unsafe_code)]

mod answers;
mod client;
mod doors;
mod failing;
mod following;
mod owners;
mod privacy;
mod shop;
