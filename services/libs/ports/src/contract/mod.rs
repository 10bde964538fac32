//! Contract tests: every adapter of a port passes the same ones.

mod event_log;

pub use event_log::{EventLogHarness, check_event_log};
