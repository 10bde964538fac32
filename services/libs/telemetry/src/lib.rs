//! What every service shows of itself: whether it lives and is ready, its
//! metrics, its logs; and the one signal by which it learns that it shall stop.
//!
//! Nothing here is global but the log's subscriber: a service is handed what it
//! reports to.

#![forbid(unsafe_code)]

mod health;
pub mod logs;
mod metrics;
pub mod operations;
mod shutdown;

pub use health::{Health, Part};
pub use metrics::{Counter, Counters, Gauge, Gauges, Histogram, Histograms, Metric, Metrics, Share};
pub use shutdown::Shutdown;
