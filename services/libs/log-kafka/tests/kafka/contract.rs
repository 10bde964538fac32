//! The contract of the log, on a real broker that is killed twice meanwhile.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rdkafka::{Offset, TopicPartitionList};
use tradewind_log_kafka::KafkaLog;
use tradewind_ports::contract::{EventLogHarness, check_event_log};
use tradewind_ports::{EventLog, TopicPartition};

use crate::broker::Broker;

/// The crashes at which the broker is killed: one amid acknowledged records, one beside an open transaction.
/// At the others only our side is gone; a broker takes seconds to come back.
const KILLS: [u32; 2] = [1, 6];

struct Harness {
    broker: Rc<Broker>,
    crashes: Rc<Cell<u32>>,
    prefix: String,
}

impl EventLogHarness for Harness {
    fn open(&mut self) -> Box<dyn EventLog> {
        Box::new(self.broker.log(&self.prefix))
    }

    fn crash(&mut self) {
        self.crashes.set(self.crashes.get() + 1);
        if KILLS.contains(&self.crashes.get()) {
            self.broker.kill();
            self.broker.restart();
        }
    }

    fn retain_from(&mut self, at: &TopicPartition, offset: u64) -> u64 {
        let name = self.broker.settings(&self.prefix).topic_name(&at.topic);
        let partition = i32::try_from(at.partition).expect("a small number");
        let mut place = TopicPartitionList::new();
        let until = Offset::Offset(i64::try_from(offset).expect("a small number"));
        place.add_partition_offset(&name, partition, until).expect("an offset");
        let kept = self.broker.admin(async |admin, options| admin.delete_records(&place, options).await);
        let kept = kept.expect("records are deleted");
        let Offset::Offset(start) = kept.find_partition(&name, partition).expect("an answer").offset() else {
            panic!("expected to be told the start, got {kept:?}");
        };
        u64::try_from(start).expect("an offset")
    }

    /// The markers of a commit are written after it was answered; 24 ms were seen.
    fn shows_within(&self) -> Duration {
        Duration::from_secs(10)
    }
}

#[test]
fn the_log_on_kafka_keeps_the_contract() {
    let Some(broker) = Broker::start("contract") else { return };
    let broker = Rc::new(broker);
    let crashes = Rc::new(Cell::new(0));
    let mut test = 0;
    check_event_log(|| {
        test += 1;
        let prefix = format!("contract-{test}");
        Box::new(Harness { broker: broker.clone(), crashes: crashes.clone(), prefix })
    });
    assert!(crashes.get() >= 6, "expected the broker to be killed twice");
}

/// Threads of several services share one log.
#[test]
fn a_log_may_be_shared_among_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<KafkaLog>();
}
