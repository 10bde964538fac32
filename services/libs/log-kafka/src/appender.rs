//! Appends outside transactions: one producer for the process, whose caller waits for his own reports.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tradewind_ports::{LogError, NewRecord, TopicPartition};

use crate::errors::{is_refused, unavailable};
use crate::native::{is_certainly_not_stored, remind};
use crate::records::{excess, partition_number, to_kafka};
use crate::settings::KafkaSettings;

/// A full queue is looked at again after this.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// A report comes at the latest when its record's time is over; beyond this it never will.
const REPORT_GRACE: Duration = Duration::from_secs(5);

/// No report within this, and the producer is told its brokers again: it may have forgotten them.
const REMIND_EVERY: Duration = Duration::from_secs(1);

/// What became of one record.
enum Report {
    Stored { index: usize, offset: u64 },
    Failed { is_certainly_not_stored: bool, code: RDKafkaErrorCode },
}

/// Goes with a record and brings its report back.
pub(crate) struct Receipt {
    index: usize,
    reports: Sender<Report>,
}

struct Reports;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Box<Receipt>) {
        let report = match result {
            Ok(message) => match u64::try_from(message.offset()) {
                Ok(offset) => Report::Stored { index: receipt.index, offset },
                // Acknowledged as a duplicate so old that the broker has forgotten its offset.
                Err(_) => Report::Failed { is_certainly_not_stored: false, code: RDKafkaErrorCode::NoOffset },
            },
            Err((error, message)) => Report::Failed {
                is_certainly_not_stored: is_certainly_not_stored(message),
                code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown),
            },
        };
        // Whoever waited may have given up.
        let _ = receipt.reports.send(report);
    }
}

pub(crate) struct Appender {
    producer: ThreadedProducer<Reports>,
    give_up_after: Duration,
    pub(crate) bootstrap: String,
}

impl Appender {
    pub(crate) fn open(settings: &KafkaSettings) -> Result<Appender, KafkaError> {
        let producer = settings.appender().create_with_context(Reports)?;
        let (give_up_after, bootstrap) = (settings.append_timeout, settings.bootstrap.clone());
        Ok(Appender { producer, give_up_after, bootstrap })
    }

    /// Whether it will never append again; a new one will.
    pub(crate) fn is_spent(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }

    pub(crate) fn append(&self, topic: &str, at: &TopicPartition, records: &[NewRecord]) -> Result<Vec<u64>, LogError> {
        if let Some(size) = records.iter().find_map(excess) {
            return Err(LogError::Refused { reason: format!("it has {size} bytes with its headers, for {at}") });
        }
        let (sender, reports) = channel();
        let deadline = Instant::now() + self.give_up_after;
        for (index, record) in records.iter().enumerate() {
            if let Err(error) = self.send(topic, at, record, &Receipt { index, reports: sender.clone() }, deadline) {
                // Those before it may be on their way, so nobody can say that nothing was done.
                return Err(if index == 0 {
                    unavailable("append", &error)
                } else {
                    LogError::Indefinite { reason: format!("append record {index} of {}: {error}", records.len()) }
                });
            }
        }
        drop(sender);
        self.collect(&reports, at, records.len(), deadline + REPORT_GRACE)
    }

    fn send(
        &self,
        topic: &str,
        at: &TopicPartition,
        record: &NewRecord,
        receipt: &Receipt,
        deadline: Instant,
    ) -> Result<(), KafkaError> {
        loop {
            let receipt = Box::new(Receipt { index: receipt.index, reports: receipt.reports.clone() });
            match self.producer.send(to_kafka(topic, partition_number(at), record, receipt)) {
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) if Instant::now() < deadline => {
                    std::thread::sleep(QUEUE_FULL_PAUSE);
                }
                sent => return sent.map_err(|(error, _)| error),
            }
        }
    }

    fn collect(
        &self,
        reports: &Receiver<Report>,
        at: &TopicPartition,
        records: usize,
        deadline: Instant,
    ) -> Result<Vec<u64>, LogError> {
        let mut offsets = vec![0; records];
        let mut failures = Vec::new();
        for _ in 0..records {
            match self.next_report(reports, deadline) {
                Ok(Report::Stored { index, offset }) => offsets[index] = offset,
                Ok(Report::Failed { is_certainly_not_stored, code }) => failures.push((is_certainly_not_stored, code)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(LogError::Indefinite { reason: format!("append to {at}: no report came") });
                }
            }
        }
        let Some((_, code)) = failures.first() else { return Ok(offsets) };
        let reason = format!("append to {at}: {code}");
        let nothing_is_stored = failures.len() == records && failures.iter().all(|(certain, _)| *certain);
        Err(match nothing_is_stored {
            true if is_refused(*code) => LogError::Refused { reason },
            true => LogError::Unavailable { reason },
            false => LogError::Indefinite { reason },
        })
    }

    fn next_report(&self, reports: &Receiver<Report>, deadline: Instant) -> Result<Report, RecvTimeoutError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match reports.recv_timeout(left.min(REMIND_EVERY)) {
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => remind(self.producer.client(), &self.bootstrap),
                report => return report,
            }
        }
    }
}
