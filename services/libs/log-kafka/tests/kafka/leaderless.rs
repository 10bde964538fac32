//! A partition without a leader, in librdkafka's own stand-in for a cluster: no real broker can be told to have none.

use rdkafka::mocking::MockCluster;
use tradewind_log_kafka::{KafkaLog, KafkaSettings};
use tradewind_ports::{Bounds, EventLog, LogError, Topic};

use crate::broker::events;

/// What a client of librdkafka heard of leaders it keeps for a quarter of an hour.
#[test]
fn a_partition_that_had_no_leader_when_it_was_first_asked_for_is_found_once_it_has_one() {
    let cluster = MockCluster::new(1).expect("a cluster on loopback");
    let settings = KafkaSettings::new(&cluster.bootstrap_servers(), "leaderless");
    let name = settings.topic_name(&Topic::Events);
    let log = KafkaLog::connect(KafkaSettings { partitions: 1, is_dev: true, ..settings }).expect("good settings");
    cluster.create_topic(&name, 1, 1).expect("a topic");
    cluster.partition_leader(&name, 0, None).expect("no leader");
    let asked = log.bounds(&events());
    assert!(matches!(asked, Err(LogError::Unavailable { .. })), "got {asked:?}");
    cluster.partition_leader(&name, 0, Some(1)).expect("a leader");
    assert_eq!(log.bounds(&events()), Ok(Bounds { start: 0, end: 0 }));
}
