//! The console: shows operators what happens, live, and why.
//!
//! It reads the log and asks the owners of partitions; it writes nothing, so no
//! request changes anything but the caller's own session. It serves one page and
//! the API behind it.
//!
//! Personal data stays sealed unless the access key was shown. Without a key set,
//! the console serves on a loopback address alone, and opens nothing.
//!
//! Sockets are served by tokio. One thread of its own follows the log; whatever
//! else reads the log or asks an owner runs on tokio's blocking threads.

#![forbid(unsafe_code)]

mod access;
mod api;
mod hub;
mod item;
mod live;
mod metrics;
mod opening;
mod owners;
mod page;
mod partition;
mod server;
mod status;
mod tail;
mod timeline;
mod world;

pub use access::AccessKey;
pub use metrics::ConsoleMetric;
pub use owners::{Owners, OwnersError, Place, Reference, ReferenceKind, Timeline};
pub use server::{ServeError, serve};
pub use world::{Settings, Telemetry, World};
