//! Transactions. The rules they keep, each found by breaking it (ADR 3):
//!
//! - An error that `send` returns on the spot isn't remembered by the transaction: the commit would succeed
//!   without the record. So any error at all ends the writer.
//! - A record that failed counts as outstanding until its report is polled. So the drain looks for reports after
//!   each slice that timed out.
//! - Nothing is aborted here. An abort that came late could end the next transaction; what is left open
//!   is ended by the successor's initialisation, under a higher epoch.
//! - A commit that was slow, or in whose transaction the connection broke, may have been sent twice; the late
//!   copy would end the next transaction early. So there is no next one with this producer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use tradewind_ports::{LogError, NewRecord, TopicPartition, Writer};

use crate::errors::{is_fenced, is_refused};
use crate::native::flush;
use crate::records::{excess, partition_number, to_kafka};
use crate::settings::{ANSWER_WITHIN, KafkaSettings, SOCKET_TIMEOUT};

/// How late a failed record may be noticed.
const SLICE: Duration = Duration::from_millis(50);

/// What the producer's events told.
#[derive(Default)]
struct Watch {
    /// Of any kind: when a poll brings none, the queue is empty.
    events: AtomicU64,
    /// A connection broke, or no broker answers.
    breaks: AtomicU64,
    failed: Mutex<Option<RDKafkaErrorCode>>,
}

impl ClientContext for Watch {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    fn error(&self, _: KafkaError, _: &str) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.breaks.fetch_add(1, Ordering::Relaxed);
    }
}

impl ProducerContext for Watch {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.events.fetch_add(1, Ordering::Relaxed);
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            self.failed.lock().expect("nobody panics while it holds the report").get_or_insert(code);
        }
    }
}

pub(crate) struct KafkaWriter {
    producer: BaseProducer<Watch>,
    settings: KafkaSettings,
    id: String,
    /// Why it is of no more use.
    spent: Option<String>,
    is_fenced: bool,
    is_drained: bool,
    /// How many breaks there had been when the transaction began.
    breaks_before: u64,
}

impl KafkaWriter {
    /// Fences every earlier writer of this id and ends what it left open.
    pub(crate) fn open(settings: &KafkaSettings, id: &str) -> Result<KafkaWriter, LogError> {
        let config = settings.writer(id).map_err(|error| LogError::Refused { reason: error.to_string() })?;
        let producer: BaseProducer<Watch> = config
            .create_with_context(Watch::default())
            .map_err(|error| LogError::Unavailable { reason: format!("make the producer of {id}: {error}") })?;
        let mut writer = KafkaWriter {
            producer,
            settings: settings.clone(),
            id: id.into(),
            spent: None,
            is_fenced: false,
            is_drained: true,
            breaks_before: 0,
        };
        match writer.producer.init_transactions(ANSWER_WITHIN) {
            Ok(()) => Ok(writer),
            // The earlier writer may be fenced already.
            Err(error) => Err(writer.give_up("initialise", &error)),
        }
    }

    /// Why the writer can't be used, once it can't.
    fn check(&self) -> Result<(), LogError> {
        match &self.spent {
            None => Ok(()),
            Some(_) if self.is_fenced => Err(LogError::Fenced),
            Some(reason) => Err(LogError::Indefinite { reason: reason.clone() }),
        }
    }

    fn give_up(&mut self, doing: &str, error: &KafkaError) -> LogError {
        self.give_up_with(doing, error.rdkafka_error_code(), &error.to_string())
    }

    fn give_up_with(&mut self, doing: &str, code: Option<RDKafkaErrorCode>, text: &str) -> LogError {
        let fatal = self.producer.client().fatal_error();
        let fatal_text = fatal.as_ref().map(|(_, text)| format!("; {text}")).unwrap_or_default();
        let reason = format!("{doing} as {}: {text}{fatal_text}", self.id);
        self.is_fenced = [code, fatal.map(|(code, _)| code)].into_iter().flatten().any(is_fenced);
        self.spent = Some(format!("this writer failed before: {reason}"));
        if self.is_fenced {
            LogError::Fenced
        } else if code.is_some_and(is_refused) {
            LogError::Refused { reason }
        } else {
            LogError::Indefinite { reason }
        }
    }

    /// Handles every event that is there.
    fn serve(&self) {
        let events = || self.producer.context().events.load(Ordering::Relaxed);
        loop {
            let before = events();
            self.producer.poll(Duration::ZERO);
            if events() == before {
                return;
            }
        }
    }

    fn breaks(&self) -> u64 {
        self.producer.context().breaks.load(Ordering::Relaxed)
    }

    fn failed(&self) -> Option<RDKafkaErrorCode> {
        *self.producer.context().failed.lock().expect("nobody panics while it holds the report")
    }

    /// One slice of the drain: whether all is acknowledged.
    fn drain_slice(&mut self, doing: &str) -> Result<bool, LogError> {
        if flush(&self.producer, SLICE) {
            return Ok(true);
        }
        self.serve();
        match self.failed() {
            Some(code) => Err(self.give_up_with(doing, Some(code), &code.to_string())),
            None => Ok(false),
        }
    }

    fn late(&mut self, doing: &str) -> LogError {
        self.give_up_with(doing, None, &format!("no answer within {} s", ANSWER_WITHIN.as_secs()))
    }
}

impl Writer for KafkaWriter {
    fn begin(&mut self) -> Result<(), LogError> {
        self.check()?;
        self.serve();
        self.breaks_before = self.breaks();
        self.producer.begin_transaction().map_err(|error| self.give_up("begin a transaction", &error))
    }

    fn send(&mut self, at: &TopicPartition, record: NewRecord) -> Result<(), LogError> {
        self.check()?;
        if let Some(size) = excess(&record) {
            let reason = format!("it has {size} bytes with its headers, for {at}");
            self.spent = Some(format!("this writer failed before: {reason}"));
            return Err(LogError::Refused { reason });
        }
        self.is_drained = false;
        let topic = self.settings.topic_name(&at.topic);
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            match self.producer.send(to_kafka(&topic, partition_number(at), &record, ())) {
                Ok(()) => return Ok(()),
                // It was not taken, so the transaction lacks nothing yet: the one error to be waited out.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.drain_slice("make room")?;
                    if Instant::now() >= deadline {
                        return Err(self.late("make room"));
                    }
                }
                Err((error, _)) => return Err(self.give_up("send", &error)),
            }
        }
    }

    fn acknowledge(&mut self) -> Result<(), LogError> {
        self.check()?;
        let deadline = Instant::now() + ANSWER_WITHIN;
        while !self.drain_slice("acknowledge")? {
            if Instant::now() >= deadline {
                return Err(self.late("acknowledge"));
            }
        }
        self.is_drained = true;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), LogError> {
        if !self.is_drained {
            self.acknowledge()?;
        }
        self.check()?;
        let begun = Instant::now();
        // Drained, so that rdkafka's flush in it returns at once. librdkafka advises to wait without end lest its state
        // fall behind the broker's; no state of it outlives an error here.
        let committed = self.producer.commit_transaction(ANSWER_WITHIN);
        self.serve();
        if let Err(error) = committed {
            return Err(self.give_up("commit", &error));
        }
        if begun.elapsed() > SOCKET_TIMEOUT / 2 || self.breaks() != self.breaks_before {
            self.spent = Some(format!("the last commit as {} may have been sent twice", self.id));
        }
        Ok(())
    }
}
