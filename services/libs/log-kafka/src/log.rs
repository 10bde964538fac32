//! The log: one reader a partition, one appender, a writer for whoever asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use tradewind_ports::{Batch, Bounds, EventLog, LogError, NewRecord, ReadLimit, TopicPartition, Writer};

use crate::appender::Appender;
use crate::errors::{is_passing, is_unheard, unavailable};
use crate::native::remind;
use crate::reader::Reader;
use crate::records::partition_number;
use crate::settings::{ANSWER_WITHIN, KafkaSettings, SetupError};
use crate::writer::KafkaWriter;

/// A reader nobody has used for so long is closed: the decisions of a partition are read once, when it is recovered.
const READER_IDLE: Duration = Duration::from_secs(60);
/// From one question to the next, while a partition has no leader.
const PASSING_PAUSE: Duration = Duration::from_millis(50);
/// How long a question is left to a client that may not know its brokers any more.
const ASK_SLICE: Duration = Duration::from_secs(5);
/// A partition that says nothing for so long is asked for its end.
const SILENT: Duration = Duration::from_secs(5);
/// A wait gives its reader up for a moment after this, so that it never shuts another caller out for long.
const WAIT_SLICE: Duration = Duration::from_millis(200);

/// The log on a Kafka cluster. One object a process; share it among threads.
///
/// A partition has one reader in it, which stands where the last read ended. A read from another place costs a new
/// one, some 60 ms. So two callers that read one partition in turn get what they ask for, slowly; give the second one
/// a log of its own.
pub struct KafkaLog {
    settings: KafkaSettings,
    asker: BaseConsumer,
    appender: Mutex<Arc<Appender>>,
    readers: Mutex<HashMap<TopicPartition, Arc<Slot>>>,
}

/// The place of a reader.
struct Slot {
    reader: Mutex<Option<Reader>>,
    /// The end that was last told of this partition: a read goes at least there.
    owed: AtomicU64,
    /// When it was last read from.
    used: Mutex<Instant>,
    /// When something last came, or the brokers were last asked whether there is something.
    silent_since: Mutex<Instant>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaLog").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// The log, ready to connect when it is first used; topics are made and checked by [`prepare`](crate::prepare).
    ///
    /// # Errors
    ///
    /// A setting can't be used.
    pub fn connect(settings: KafkaSettings) -> Result<KafkaLog, SetupError> {
        settings.check()?;
        let refused = |error: KafkaError| SetupError::Setting {
            setting: "client".into(),
            found: error.to_string(),
            expected: "settings that librdkafka takes".into(),
        };
        let asker = settings.asker().create().map_err(refused)?;
        let appender = Appender::open(&settings).map_err(refused)?;
        Ok(KafkaLog { settings, asker, appender: Mutex::new(Arc::new(appender)), readers: Mutex::default() })
    }

    /// The slot of a partition; those not used for long are closed.
    fn slot(&self, at: &TopicPartition) -> Arc<Slot> {
        let now = Instant::now();
        let mut readers = self.readers.lock().expect("nobody panics while it holds the readers");
        // A slot that somebody has in hand is in use, however old.
        let is_idle = |slot: &Arc<Slot>| Arc::strong_count(slot) == 1 && now - *lock(&slot.used) > READER_IDLE;
        let idle: Vec<Arc<Slot>> = readers.extract_if(|_, slot| is_idle(slot)).map(|(_, slot)| slot).collect();
        let slot = match readers.get(at) {
            Some(slot) => slot.clone(),
            None => readers.entry(at.clone()).or_insert_with(|| Arc::new(Slot::new(now))).clone(),
        };
        drop(readers);
        // Closing takes some milliseconds, which nobody else shall wait.
        drop(idle);
        slot
    }

    /// The ends as the brokers tell them now, and a promise that reading gets there.
    fn ask_bounds(&self, at: &TopicPartition, slot: &Slot) -> Result<Bounds, LogError> {
        let name = self.settings.topic_name(&at.topic);
        let (start, end) = self
            .ask_watermarks(&name, partition_number(at))
            .map_err(|error| unavailable(&format!("ask for the ends of {at}"), &error))?;
        let bounds = Bounds { start: u64::try_from(start).unwrap_or(0), end: u64::try_from(end).unwrap_or(0) };
        slot.owed.fetch_max(bounds.end, Ordering::Relaxed);
        Ok(bounds)
    }

    /// A partition that was just made, or whose leader is just changing, is asked
    /// again: nobody is to hear of it who asks a little later.
    fn ask_watermarks(&self, name: &str, partition: i32) -> Result<(i64, i64), KafkaError> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.asker.fetch_watermarks(name, partition, left.min(ASK_SLICE)) {
                Err(error)
                    if (is_passing(&error) || is_unheard(&error)) && Instant::now() + PASSING_PAUSE < deadline =>
                {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.correct(name, &error, left.min(ASK_SLICE));
                    std::thread::sleep(PASSING_PAUSE);
                }
                answer => return answer,
            }
        }
    }

    /// Tells the asking client what it can't find out by itself. A partition that had no leader when it first heard of the topic
    /// has none for it until it drops what it knows, a quarter of an hour later: it has to ask anew. And one that has lost
    /// its brokers waits for one all the time it is given, whatever it believes of the partition.
    fn correct(&self, name: &str, error: &KafkaError, within: Duration) {
        let has_heard = is_passing(error) && self.asker.fetch_metadata(Some(name), within).is_ok();
        if !has_heard {
            remind(self.asker.client(), &self.settings.bootstrap);
        }
    }

    /// A reader whose client has lost its brokers is as silent as one at the end of its partition. So the ends are asked for by
    /// another client: a reader that doesn't get there is replaced by the next read. No answer says nothing new.
    fn doubt(&self, at: &TopicPartition, slot: &Slot) {
        let name = self.settings.topic_name(&at.topic);
        match self.asker.fetch_watermarks(&name, partition_number(at), ASK_SLICE) {
            Ok((_, end)) => {
                slot.owed.fetch_max(u64::try_from(end).unwrap_or(0), Ordering::Relaxed);
            }
            Err(error) => self.correct(&name, &error, ASK_SLICE),
        }
    }

    /// The reader of the slot, standing at `from`.
    fn place(&self, slot: &Slot, reader: &mut Option<Reader>, at: &TopicPartition, from: u64) -> Result<(), LogError> {
        if reader.as_ref().is_some_and(|reader| reader.stands_at(from)) {
            return Ok(());
        }
        let Bounds { start, .. } = self.ask_bounds(at, slot)?;
        if from < start {
            return Err(LogError::Lost { at: at.clone(), asked: from, start });
        }
        // A seek would wait until the fetch under way is answered: half a second at the end of a partition.
        *reader = None;
        *reader = Some(Reader::open(&self.settings, at, from)?);
        Ok(())
    }

    /// Runs a call on the reader; an error closes it, and one of place is looked into.
    fn with_reader<T>(
        &self,
        at: &TopicPartition,
        from: u64,
        slot: &Slot,
        call: impl FnOnce(&mut Reader) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        *lock(&slot.used) = Instant::now();
        let mut reader = lock(&slot.reader);
        self.place(slot, &mut reader, at, from)?;
        let done = call(reader.as_mut().expect("a reader was placed"));
        if done.is_err() {
            *reader = None;
        }
        drop(reader);
        match done {
            Err(LogError::Lost { asked, .. }) => {
                let Bounds { start, end } = self.ask_bounds(at, slot)?;
                Err(if asked < start {
                    LogError::Lost { at: at.clone(), asked, start }
                } else {
                    LogError::Damaged {
                        at: at.to_string(),
                        remedy: format!(
                            "it ends at {end}, before offset {asked} that was read or noted: the brokers lost its tail, or it is \
                             another cluster; restore it, or start again from an import"
                        ),
                    }
                })
            }
            done => done,
        }
    }
}

impl Slot {
    fn new(now: Instant) -> Slot {
        Slot { reader: Mutex::new(None), owed: AtomicU64::new(0), used: Mutex::new(now), silent_since: Mutex::new(now) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while it holds this")
}

impl EventLog for KafkaLog {
    /// What has been fetched ahead. Without waiting, but for the first read at a place that doesn't join
    /// the one before, and while an end that [`EventLog::bounds`] told lies ahead: a read gets there, or fails.
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        let slot = self.slot(at);
        self.with_reader(at, from, &slot, |reader| reader.read(from, slot.owed.load(Ordering::Relaxed), limit))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.ask_bounds(at, &self.slot(at))
    }

    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        let deadline = Instant::now() + timeout;
        let slot = self.slot(at);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let has_come = self.with_reader(at, from, &slot, |reader| reader.wait(left.min(WAIT_SLICE)))?;
            if has_come {
                *lock(&slot.silent_since) = Instant::now();
            }
            if has_come || left.is_zero() {
                break;
            }
        }
        if lock(&slot.silent_since).elapsed() >= SILENT {
            *lock(&slot.silent_since) = Instant::now();
            self.doubt(at, &slot);
        }
        Ok(())
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        let appender = lock(&self.appender).clone();
        let appended = appender.append(&self.settings.topic_name(&at.topic), at, &records);
        if appended.is_err() && appender.is_spent() {
            let mut current = lock(&self.appender);
            if Arc::ptr_eq(&current, &appender) {
                *current = Arc::new(Appender::open(&self.settings).map_err(|error| unavailable("append", &error))?);
            }
        }
        appended
    }

    /// The id is the transactional id as it is, so it names installation, application and partition.
    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(KafkaWriter::open(&self.settings, id)?))
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use tradewind_ports::Topic;

    use super::*;
    use crate::local::Broker;
    use crate::topics::prepare;

    /// As one that has forgotten all its brokers. Which client forgets them is chance with a real broker, and the same
    /// to the client: it knows nobody who answers.
    #[test]
    fn a_client_that_knows_nobody_is_told_its_brokers() {
        let Some(broker) = Broker::start("reminded") else { return };
        let there = KafkaSettings { is_dev: true, partitions: 1, ..KafkaSettings::new(&broker.address, "reminded") };
        prepare(&there, &[Topic::Events]).expect("the topic can be made");
        // Port 1 belongs to no Kafka anywhere.
        let nowhere = KafkaSettings { bootstrap: "127.0.0.1:1".into(), ..there.clone() };
        let mut log = KafkaLog::connect(nowhere).expect("good settings");
        log.settings.bootstrap.clone_from(&there.bootstrap);
        let appender = log.appender.get_mut().expect("nobody has it");
        Arc::get_mut(appender).expect("nobody has it").bootstrap = there.bootstrap;

        let at = Topic::Events.partition(0);
        assert_eq!(log.append(&at, vec![NewRecord::default()]), Ok(vec![0]));
        assert_eq!(log.bounds(&at), Ok(Bounds { start: 0, end: 1 }));
    }

    /// It has its answer ready, and nobody to ask for a better one.
    #[test]
    fn a_client_that_heard_of_no_leader_and_knows_nobody_is_told_its_brokers() {
        let (gone, there) = (MockCluster::new(1).expect("a cluster"), MockCluster::new(1).expect("a cluster"));
        let settings = KafkaSettings { partitions: 1, ..KafkaSettings::new(&gone.bootstrap_servers(), "heard") };
        let at = Topic::Events.partition(0);
        let name = settings.topic_name(&at.topic);
        for cluster in [&gone, &there] {
            cluster.create_topic(&name, 1, 1).expect("a topic");
        }
        gone.partition_leader(&name, 0, None).expect("no leader");
        let mut log = KafkaLog::connect(settings).expect("good settings");
        log.asker.fetch_metadata(Some(&name), ANSWER_WITHIN).expect("a cluster that answers");
        drop(gone);
        log.settings.bootstrap = there.bootstrap_servers();
        assert_eq!(log.bounds(&at), Ok(Bounds { start: 0, end: 0 }));
    }

    #[test]
    fn a_reader_that_knows_nobody_is_replaced() {
        let Some(broker) = Broker::start("replaced") else { return };
        let there = KafkaSettings { is_dev: true, partitions: 1, ..KafkaSettings::new(&broker.address, "replaced") };
        prepare(&there, &[Topic::Events]).expect("the topic can be made");
        let at = Topic::Events.partition(0);
        let writing = KafkaLog::connect(there.clone()).expect("good settings");
        assert_eq!(writing.append(&at, vec![NewRecord::default()]), Ok(vec![0]));

        let mut log = KafkaLog::connect(there.clone()).expect("good settings");
        log.settings.bootstrap = "127.0.0.1:1".into();
        let slot = log.slot(&at);
        *lock(&slot.reader) = Some(Reader::open(&log.settings, &at, 0).expect("a consumer"));
        drop(slot);
        log.settings.bootstrap = there.bootstrap;
        let deadline = Instant::now() + 4 * ANSWER_WITHIN;
        let limit = ReadLimit { records: 10, bytes: 1_000 };
        while !log.read(&at, 0, limit).is_ok_and(|batch| !batch.records.is_empty()) {
            assert!(Instant::now() < deadline, "it was not replaced");
            log.wait(&at, 0, Duration::from_millis(100)).expect("a log that answers");
        }
    }
}
