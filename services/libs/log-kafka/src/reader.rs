//! One consumer that reads one partition, by offset and without a group.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};
use tradewind_ports::{Batch, LogError, ReadLimit, Record, TopicPartition};

use crate::errors::unavailable;
use crate::records::{from_kafka, partition_number};
use crate::settings::{ANSWER_WITHIN, KafkaSettings};

/// How long a poll lasts while records are owed, so that markers passed meanwhile are noticed.
const OWED_POLL: Duration = Duration::from_millis(20);

/// Where it stands: the last record handed out lies before `floor`; from there to `next` are no records, only marks of
/// transactions. A read anywhere between the two goes on; any other one needs a new reader.
pub(crate) struct Reader {
    consumer: BaseConsumer,
    at: TopicPartition,
    topic: String,
    partition: i32,
    floor: u64,
    next: u64,
    /// Taken from the consumer and beyond the limit of the read that found it.
    held: Option<Record>,
}

impl Reader {
    pub(crate) fn open(settings: &KafkaSettings, at: &TopicPartition, from: u64) -> Result<Reader, LogError> {
        let topic = settings.topic_name(&at.topic);
        let partition = partition_number(at);
        let opened = (|| {
            let consumer: BaseConsumer = settings.reader().create()?;
            let mut place = TopicPartitionList::new();
            // A number: what the group last committed, or a name such as "end", would cost half a second to look up.
            place.add_partition_offset(&topic, partition, offset(from))?;
            consumer.assign(&place)?;
            Ok(consumer)
        })();
        let consumer = opened.map_err(|error| unavailable("open a consumer", &error))?;
        Ok(Reader { consumer, at: at.clone(), topic, partition, floor: from, next: from, held: None })
    }

    /// Whether a read from there would go on where the last one ended.
    pub(crate) fn stands_at(&self, from: u64) -> bool {
        (self.floor..=self.next).contains(&from)
    }

    /// What is at hand; waits only while nothing is and `next` has not come to `owed`, an end that was promised.
    pub(crate) fn read(&mut self, from: u64, owed: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.is_empty() || records.len() < limit.records {
            let Some(record) = self.take(Duration::ZERO)? else {
                self.pass_markers(owed)?;
                if !records.is_empty() || self.next >= owed {
                    break;
                }
                self.held = self.take(OWED_POLL)?;
                if self.held.is_none() && Instant::now() >= deadline {
                    let next = self.next;
                    return Err(LogError::Unavailable {
                        reason: format!("no record of {} came though it ends at {owed}, read up to {next}", self.at),
                    });
                }
                continue;
            };
            bytes += record.key.len() + record.headers.as_bytes().len() + record.value.as_ref().map_or(0, Vec::len);
            if bytes > limit.bytes && !records.is_empty() {
                self.held = Some(record);
                break;
            }
            self.floor = record.offset + 1;
            self.next = self.floor;
            records.push(record);
        }
        Ok(Batch { records, next: self.next.max(from) })
    }

    /// Whether there may be something to read; waits for it for so long.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<bool, LogError> {
        self.held = self.take(timeout)?;
        Ok(self.held.is_some())
    }

    fn take(&mut self, timeout: Duration) -> Result<Option<Record>, LogError> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        loop {
            match self.consumer.poll(timeout) {
                None => return Ok(None),
                Some(Ok(message)) => {
                    let damaged = || LogError::Damaged {
                        at: format!("{} at offset {}", self.at, message.offset()),
                        remedy: "a header is larger than any we write: find out who else writes to this topic".into(),
                    };
                    return from_kafka(&message).map(Some).ok_or_else(damaged);
                }
                // Behind such an event records may lie; whoever waits for one waits again.
                Some(Err(error)) if is_passing(&error) && timeout.is_zero() => {}
                Some(Err(error)) if is_passing(&error) => return Ok(None),
                Some(Err(error)) => return Err(self.refusal(&error)),
            }
        }
    }

    /// Goes beyond what only looks like a record, if an end beyond it was promised.
    fn pass_markers(&mut self, owed: u64) -> Result<(), LogError> {
        if self.next < owed {
            let positions = self.consumer.position().map_err(|error| unavailable("ask for the position", &error))?;
            let found = positions.find_partition(&self.topic, self.partition).map(|place| place.offset());
            if let Some(Offset::Offset(position)) = found {
                self.next = self.next.max(u64::try_from(position).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn refusal(&self, error: &KafkaError) -> LogError {
        match error.rdkafka_error_code() {
            // The caller finds out where the partition starts; here it isn't known.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                LogError::Lost { at: self.at.clone(), asked: self.next, start: self.next }
            }
            Some(
                RDKafkaErrorCode::BadMessage | RDKafkaErrorCode::BadCompression | RDKafkaErrorCode::InvalidMessage,
            ) => LogError::Damaged {
                at: format!("{} from offset {} on", self.at, self.next),
                remedy: "a checksum is wrong: compare the replicas, and restore the broker's log".into(),
            },
            _ => unavailable("read", error),
        }
    }
}

/// librdkafka goes on trying by itself, with another broker or after a while. Such an event may also have lain in the queue
/// since an outage long over.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let passing = [Code::AllBrokersDown, Code::BrokerTransportFailure, Code::OperationTimedOut, Code::Resolve];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}

fn offset(from: u64) -> Offset {
    Offset::Offset(i64::try_from(from).expect("expected an offset below 2^63"))
}
