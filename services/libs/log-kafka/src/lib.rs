//! The log on Apache Kafka: the `EventLog` port over librdkafka, which no other
//! crate of `services` names (`benches` does, for its baseline).
//!
//! ```no_run
//! use tradewind_log_kafka::{KafkaLog, KafkaSettings, prepare};
//! use tradewind_ports::{EventLog, NewRecord, ReadLimit, Topic};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = KafkaSettings { is_dev: true, ..KafkaSettings::new("127.0.0.1:9092", "demo") };
//! prepare(&settings, &[Topic::Events, Topic::Decisions])?;
//! let log = KafkaLog::connect(settings)?;
//! let offsets = log.append(&Topic::Events.partition(0), vec![NewRecord::default()])?;
//! let batch = log.read(&Topic::Events.partition(0), offsets[0], ReadLimit { records: 100, bytes: 1 << 20 })?;
//! # drop(batch);
//! # Ok(())
//! # }
//! ```
//!
//! Every call blocks, none for longer than about 15 s (`append`: as configured); callers bring the
//! threads. What was measured and why it is built so: `docs/adr/0003-kafka-turn-loop.md`.
//!
//! - Topics, their settings and what is refused at start: [`prepare`].
//! - Reading: `reader`. Appending: `appender`. Transactions: `writer`. Who owns which partition: [`Membership`].
//! - `native` holds the only unsafe code: three calls that rdkafka doesn't offer.

#![deny(unsafe_code)]

mod appender;
mod errors;
#[cfg(test)]
#[path = "../tests/kafka/local.rs"]
mod local;
mod log;
mod membership;
mod native;
mod reader;
mod records;
mod settings;
mod topics;
mod writer;

pub use log::KafkaLog;
pub use membership::{Change, Membership};
pub use settings::{KafkaSettings, Mismatch, SetupError};
pub use topics::{Prepared, prepare};
