//! Records as Kafka has them and as the port has them.

use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;
use tradewind_domain::Timestamp;
use tradewind_ports::{Headers, NewRecord, Record, TopicPartition};

use crate::settings::RECORD_MAX_BYTES;

/// What Kafka adds to a record, generously: lengths, offset and time deltas, the head of a batch of one.
const OVERHEAD: usize = 128;
/// What Kafka adds to a header, generously.
const HEADER_OVERHEAD: usize = 10;

/// As much as the headers of an event take.
const HEADERS_BYTES: usize = 512;

/// The size of a record on the wire before compression, if it is too large.
pub(crate) fn excess(record: &NewRecord) -> Option<usize> {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD).sum();
    let size = record.key.len() + record.value.as_ref().map_or(0, Vec::len) + headers + OVERHEAD;
    (size > RECORD_MAX_BYTES).then_some(size)
}

pub(crate) fn partition_number(at: &TopicPartition) -> i32 {
    i32::try_from(at.partition).expect("expected a partition number below 2^31")
}

/// The record as librdkafka takes it; it copies key and value.
pub(crate) fn to_kafka<'a, Opaque: IntoOpaque>(
    topic: &'a str,
    partition: i32,
    record: &'a NewRecord,
    opaque: Opaque,
) -> BaseRecord<'a, [u8], [u8], Opaque> {
    let mut to = BaseRecord::with_opaque_to(topic, opaque).partition(partition).key(record.key.as_slice());
    if let Some(value) = &record.value {
        to = to.payload(value.as_slice());
    }
    let count = record.headers.iter().count();
    if count > 0 {
        let empty = OwnedHeaders::new_with_capacity(count);
        let headers = record
            .headers
            .iter()
            .fold(empty, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        to = to.headers(headers);
    }
    to
}

/// The record as the port has it; `None` if it holds a header that none of ours would.
pub(crate) fn from_kafka(message: &BorrowedMessage<'_>) -> Option<Record> {
    let mut headers = Headers::with_capacity(HEADERS_BYTES);
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        let value = header.value.unwrap_or_default();
        if header.key.len() > usize::from(u8::MAX) || value.len() > usize::from(u16::MAX) {
            return None;
        }
        headers.push(header.key, value);
    }
    Some(Record {
        offset: u64::try_from(message.offset()).expect("expected the offset of a stored message"),
        appended_at: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or_default()),
        key: message.key().unwrap_or_default().to_vec(),
        headers,
        value: message.payload().map(<[u8]>::to_vec),
    })
}
