//! A cluster that was never there.

use std::time::Duration;

use tradewind_log_kafka::{KafkaLog, KafkaSettings, SetupError, prepare};
use tradewind_ports::{EventLog, LogError, Topic};

use crate::broker::{events, record};

#[test]
fn a_cluster_that_is_not_there_is_said_to_be_unreachable() {
    // Port 1 belongs to no Kafka anywhere.
    let settings = KafkaSettings { is_dev: true, ..KafkaSettings::new("127.0.0.1:1", "nowhere") };
    let settings = KafkaSettings { append_timeout: Duration::from_secs(1), ..settings };
    let log = KafkaLog::connect(settings.clone()).expect("good settings");
    let appended = log.append(&events(), vec![record("a")]);
    assert!(matches!(appended, Err(LogError::Unavailable { .. })), "got {appended:?}");
    let prepared = prepare(&settings, &[Topic::Events]);
    assert!(matches!(prepared, Err(SetupError::Unreachable { .. })), "got {prepared:?}");
}
