//! The connector: takes vendors' deliveries in and makes facts of them.
//!
//! A delivery is verified, translated, sealed, appended and only then acknowledged:
//! a 2xx means that its facts and its own sealed bytes are durable. What a vendor
//! sends is never held against the vendor's retrying: what is genuine and can't be
//! used is kept and answered with 200, and what we can't do now with 503.
//!
//! Sockets are served by tokio. The log is written by one thread a partition, which
//! commits for all requests that wait. A delivery is read where it came in if it is
//! small and its keys are at hand, else on one of tokio's blocking threads, which ask
//! the vault. The directory is followed by a thread of its own.

#![forbid(unsafe_code)]

mod answer;
mod appender;
mod beats;
mod delivery;
mod directory;
mod ingress;
mod metrics;
mod outage;
mod reach;
mod server;
mod turned_away;
mod world;

pub use metrics::ConnectorMetric;
pub use reach::{ALIVE_PATH, loopback_probe};
pub use server::{ServeError, serve};
pub use world::{Fetch, FetchAnswer, FetchCall, Probe, SecretSource, Settings, Telemetry, World};
