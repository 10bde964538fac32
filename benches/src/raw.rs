//! The baseline of everything on Kafka: the same topic, read by librdkafka with
//! the settings our own reader has (docs/adr/0003), and nothing done with it.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

/// A broker that is silent for so long is not there any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Standing at `from` of one partition.
///
/// # Panics
///
/// librdkafka does not take the settings.
#[must_use]
pub fn consumer(bootstrap: &str, topic: &str, partition: u32, from: i64) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "raw")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("fetch.queue.backoff.ms", "1")
        .set("queued.max.messages.kbytes", "512")
        .set("fetch.message.max.bytes", "524288")
        .set("fetch.max.bytes", "1000000");
    let consumer: BaseConsumer = config.create().expect("settings of librdkafka");
    let mut place = TopicPartitionList::new();
    let partition = i32::try_from(partition).expect("a small number");
    place.add_partition_offset(topic, partition, Offset::Offset(from)).expect("a place of the log");
    consumer.assign(&place).expect("a place of the log");
    consumer
}

/// Reads every partition up to its end, a thread and a consumer each. Returns how
/// long it took.
///
/// # Panics
///
/// The broker does not answer.
#[must_use]
pub fn consume(bootstrap: &str, topic: &str, ends: &[u64]) -> Duration {
    let begun = Instant::now();
    thread::scope(|scope| {
        for (partition, end) in (0..).zip(ends.iter().copied()).filter(|(_, end)| *end > 0) {
            scope.spawn(move || {
                let consumer = consumer(bootstrap, topic, partition, 0);
                let last = i64::try_from(end - 1).expect("an offset");
                loop {
                    let message = consumer.poll(PATIENCE).expect("a broker that answers").expect("a record");
                    if std::hint::black_box(message.payload()).is_some() && message.offset() >= last {
                        return;
                    }
                }
            });
        }
    });
    begun.elapsed()
}
