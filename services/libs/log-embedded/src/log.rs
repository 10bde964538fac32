//! The log as the port asks for it.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tradewind_domain::Timestamp;
use tradewind_ports::{
    Appends, Batch, Bounds, Clock, EventLog, Linked, LogError, NewRecord, ReadLimit, TopicPartition, Writer,
};

use crate::directory::{Beside, Directory, beside};
use crate::group::{Transaction, bytes};
use crate::opening::{self, OpenError};
use crate::read::Readers;
use crate::transaction::EmbeddedWriter;
use crate::writer_thread::{Settings, WriterThread};

/// Far above what a delivery or a decision may have.
const RECORD_BYTES: usize = 16 << 20;

const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How a log is written.
pub struct Options {
    /// Of every topic but those that have one. A log keeps its number for ever.
    pub partitions: u32,
    /// Gives records their time.
    pub clock: Box<dyn Clock>,
    /// How often what is not kept any longer is deleted.
    pub sweep_every: Duration,
}

impl Options {
    /// With the machine's clock.
    #[must_use]
    pub fn new(partitions: u32) -> Options {
        Options { partitions, clock: Box::new(MachineClock), sweep_every: SWEEP_EVERY }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Options");
        shown.field("partitions", &self.partitions).field("sweep_every", &self.sweep_every).finish_non_exhaustive()
    }
}

struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 says nothing worth more than the epoch.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// What a record may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    partitions: u32,
}

impl Limits {
    pub(crate) fn check(self, at: &TopicPartition, records: &[NewRecord]) -> Result<(), LogError> {
        self.check_partition(at)?;
        match records.iter().map(bytes).find(|bytes| *bytes > RECORD_BYTES) {
            Some(bytes) => {
                Err(LogError::Refused { reason: format!("{at}: it has {bytes} bytes, of {RECORD_BYTES} at most") })
            }
            None => Ok(()),
        }
    }

    fn check_partition(self, at: &TopicPartition) -> Result<(), LogError> {
        let partitions = if at.topic.is_single() { 1 } else { self.partitions };
        if at.partition < partitions {
            return Ok(());
        }
        let topic = at.topic.name();
        Err(LogError::Refused { reason: format!("there is no {at}: {topic} has {partitions} partitions") })
    }
}

/// A log in a directory.
///
/// Dropping the one that writes answers what was asked before, and closes it.
#[derive(Debug)]
pub struct EmbeddedLog {
    readers: Readers,
    limits: Limits,
    /// `None` in a process that only reads.
    writing: Option<WriterThread>,
}

impl EmbeddedLog {
    /// Opens the log for writing and reading; makes it if there is none.
    ///
    /// # Errors
    ///
    /// `Held` while another process writes to it. `Unfit` if the log has another
    /// number of partitions or another format. `Damaged` if what is there is not
    /// what was written; nothing is changed then.
    pub fn open(directory: &Path, options: Options) -> Result<EmbeddedLog, OpenError> {
        opening::check_library(rusqlite::version_number())?;
        let Options { partitions, clock, sweep_every } = options;
        if partitions == 0 {
            return Err(OpenError::Unfit { reason: "expected at least one partition, 0 are configured".into() });
        }
        let directory = Directory::new(directory);
        directory.create()?;
        let settings = Settings { directory: directory.clone(), partitions, clock, sweep_every };
        let writing = WriterThread::start(settings)?;
        let readers = Readers::new(directory);
        Ok(EmbeddedLog { readers, limits: Limits { partitions }, writing: Some(writing) })
    }

    /// Opens the log for reading only, beside a process that writes or without
    /// one. The writer is never blocked, and nothing it wrote is changed.
    ///
    /// Without a writer the directory must be one this user may create files in,
    /// and the newest transaction may be one that nobody was told of and that is
    /// not synced: until a writer has opened the log, a power failure can take it.
    ///
    /// # Errors
    ///
    /// `Unfit` if there is no log, or one of another format. `Damaged` as with
    /// [`EmbeddedLog::open`].
    pub fn open_reader(directory: &Path) -> Result<EmbeddedLog, OpenError> {
        opening::check_library(rusqlite::version_number())?;
        let directory = Directory::new(directory);
        let beside = beside(&directory)?;
        match beside {
            Beside::Writer => {}
            Beside::Nobody { .. } => {
                opening::check_files(&directory)?;
            }
        }
        let contents = opening::inspect(&directory)?;
        drop(beside);
        let readers = Readers::new(directory);
        let limits = Limits { partitions: contents.meta.partitions };
        Ok(EmbeddedLog { readers, limits, writing: None })
    }

    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.limits.partitions
    }

    /// Bytes of an unfinished transaction that were cut when this was opened:
    /// the last process, or the power, ended amid a commit. It lost nothing that
    /// was acknowledged.
    #[must_use]
    pub fn cut_bytes(&self) -> u64 {
        self.writing.as_ref().map_or(0, |writing| writing.torn_bytes)
    }

    /// Deletes now what is not kept any longer, as happens from time to time
    /// anyway: records past their topic's time, and old tombstones. What a
    /// compacted topic replaced can't be read from the files any more then,
    /// unless another process reads at this moment.
    ///
    /// # Errors
    ///
    /// The log can't be written.
    pub fn sweep(&self) -> Result<(), LogError> {
        self.writing()?.requests.sweep()
    }

    fn writing(&self) -> Result<&WriterThread, LogError> {
        let read_only = || LogError::Refused { reason: "this process has opened the log for reading only".into() };
        self.writing.as_ref().ok_or_else(read_only)
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        // Whoever closes last moves the WAL into the database, and only the
        // writer may.
        self.readers.close();
        if let Some(writing) = &mut self.writing {
            writing.stop();
        }
    }
}

impl EventLog for EmbeddedLog {
    fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
        self.limits.check_partition(at)?;
        self.readers.read(at, from, limit)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.limits.check_partition(at)?;
        self.readers.bounds(at)
    }

    fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
        self.limits.check_partition(at)?;
        match &self.writing {
            Some(writing) => {
                writing.heads.wait(at, from, timeout);
                Ok(())
            }
            None => self.readers.poll(at, from, timeout),
        }
    }

    fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
        let writing = self.writing()?;
        self.limits.check(at, &records)?;
        let count = records.len() as u64;
        if count == 0 {
            return Ok(Vec::new());
        }
        let writes = vec![(at.clone(), records)];
        let firsts = writing.requests.write(Transaction { author: None, writes, linked: None })?;
        Ok(firsts.into_iter().flat_map(|first| first..first + count).collect())
    }

    /// In one commit: the thread that writes knows the next offset of every partition.
    fn append_linked(&self, first: Appends, linked: Linked) -> Result<(), LogError> {
        let writing = self.writing()?;
        for (at, records) in &first {
            self.limits.check(at, records)?;
        }
        let limits = self.limits;
        let counts: Vec<(TopicPartition, u64)> =
            first.iter().map(|(at, records)| (at.clone(), records.len() as u64)).collect();
        let linked = move |firsts: &[u64]| {
            let place = |((at, count), first): ((TopicPartition, u64), &u64)| (at, (*first..first + count).collect());
            let made = linked(&counts.into_iter().zip(firsts).map(place).collect());
            made.iter().try_for_each(|(at, records)| limits.check(at, records))?;
            Ok(made.into_iter().collect())
        };
        let writes = first.into_iter().collect();
        writing.requests.write(Transaction { author: None, writes, linked: Some(Box::new(linked)) }).map(drop)
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(EmbeddedWriter::new(self.writing()?.requests.clone(), self.limits, id)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use tempfile::TempDir;
    use tradewind_domain::Vendor;
    use tradewind_ports::contract::{EventLogHarness, check_event_log};
    use tradewind_ports::{Headers, Offsets, Topic};

    use crate::compaction::TOMBSTONE_MS;

    const WHOLE: ReadLimit = ReadLimit { records: 10_000, bytes: 64 << 20 };
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn commands() -> TopicPartition {
        Topic::Commands(Vendor::new("klaviyo").expect("a vendor")).partition(3)
    }

    fn keys() -> TopicPartition {
        Topic::Keys.partition(0)
    }

    fn record(key: &str, value: &str) -> NewRecord {
        NewRecord { key: key.into(), headers: Headers::new(), value: Some(value.into()) }
    }

    fn values(log: &EmbeddedLog, at: &TopicPartition, from: u64) -> Vec<String> {
        let batch = log.read(at, from, WHOLE).expect("read");
        let value = |record: &tradewind_ports::Record| match &record.value {
            Some(value) => String::from_utf8(value.clone()).expect("text"),
            None => "gone".into(),
        };
        batch.records.iter().map(value).collect()
    }

    /// A clock that stands where it was set.
    #[derive(Clone, Default)]
    struct SetClock(Arc<AtomicI64>);

    impl SetClock {
        fn set(&self, millis: i64) {
            self.0.store(millis, Ordering::Relaxed);
        }
    }

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    fn open_at(directory: &TempDir, clock: &SetClock) -> EmbeddedLog {
        let options = Options { clock: Box::new(clock.clone()), ..Options::new(4) };
        EmbeddedLog::open(directory.path(), options).expect("open")
    }

    /// Copies the directory as it lies there before it closes the log, and goes
    /// on with the copy after a crash: what a process that is killed leaves.
    struct Harness {
        directory: TempDir,
        killed: PathBuf,
    }

    struct Killed {
        log: EmbeddedLog,
        from: PathBuf,
        copy: PathBuf,
    }

    impl Drop for Killed {
        fn drop(&mut self) {
            // By a process of its own: closing the files in this one would drop SQLite's locks.
            let from = self.from.join(".");
            let copied = Command::new("cp").arg("-r").arg(from).arg(&self.copy).status().expect("cp");
            assert!(copied.success());
        }
    }

    impl EventLog for Killed {
        fn read(&self, at: &TopicPartition, from: u64, limit: ReadLimit) -> Result<Batch, LogError> {
            self.log.read(at, from, limit)
        }

        fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
            self.log.bounds(at)
        }

        fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) -> Result<(), LogError> {
            self.log.wait(at, from, timeout)
        }

        fn append(&self, at: &TopicPartition, records: Vec<NewRecord>) -> Result<Vec<u64>, LogError> {
            self.log.append(at, records)
        }

        fn append_linked(&self, first: Appends, linked: Linked) -> Result<(), LogError> {
            self.log.append_linked(first, linked)
        }

        fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
            self.log.writer(id)
        }
    }

    impl Harness {
        fn new() -> Harness {
            let directory = TempDir::new().expect("a directory");
            Harness { killed: directory.path().join("killed"), directory }
        }

        fn log(&self) -> PathBuf {
            self.directory.path().join("log")
        }
    }

    impl EventLogHarness for Harness {
        fn open(&mut self) -> Box<dyn EventLog> {
            let log = EmbeddedLog::open(&self.log(), Options::new(16)).expect("open");
            std::fs::remove_dir_all(&self.killed).ok();
            std::fs::create_dir(&self.killed).expect("a directory");
            Box::new(Killed { log, from: self.log(), copy: self.killed.clone() })
        }

        fn crash(&mut self) {
            std::fs::remove_dir_all(self.log()).expect("the log of the process that ended");
            std::fs::rename(&self.killed, self.log()).expect("what it left");
        }

        fn retain_from(&mut self, at: &TopicPartition, offset: u64) -> u64 {
            let log = EmbeddedLog::open(&self.log(), Options::new(16)).expect("open");
            log.writing().expect("a writer").requests.delete_before(at, offset).expect("delete");
            offset
        }
    }

    #[test]
    fn the_embedded_log_keeps_the_contract() {
        check_event_log(|| Box::new(Harness::new()));
    }

    #[test]
    fn a_process_that_reads_only_waits_for_what_the_writer_appends() {
        let directory = TempDir::new().expect("a directory");
        let log = EmbeddedLog::open(directory.path(), Options::new(4)).expect("open");
        let reader = EmbeddedLog::open_reader(directory.path()).expect("open");
        assert_eq!(reader.partitions(), 4);
        std::thread::scope(|scope| {
            scope.spawn(|| log.append(&commands(), vec![record("a", "1")]).expect("append"));
            while values(&reader, &commands(), 0).is_empty() {
                reader.wait(&commands(), 0, Duration::from_secs(3600)).expect("wait");
            }
        });
        assert!(matches!(reader.append(&commands(), vec![record("a", "2")]), Err(LogError::Refused { .. })));
        assert!(matches!(reader.writer("owner-0"), Err(LogError::Refused { .. })));
        // Nothing comes: the wait ends by itself.
        reader.wait(&commands(), 1, Duration::from_millis(1)).expect("wait");
    }

    #[test]
    fn what_is_linked_is_one_commit_with_what_it_names() {
        let directory = TempDir::new().expect("a directory");
        let log = EmbeddedLog::open(directory.path(), Options::new(4)).expect("open");
        let commits = || opening::inspect(&Directory::new(directory.path())).expect("a log").commits;
        log.append(&keys(), vec![record("a", "1")]).expect("append");
        let before = commits();
        let first = || Appends::from([(commands(), vec![record("b", "2")])]);
        let linked = |size: usize| {
            let value = move |offset: &u64| NewRecord { value: Some(vec![0; size]), ..record(&offset.to_string(), "") };
            let made = move |offsets: &Offsets| {
                Appends::from([(Topic::Events.partition(0), offsets[&commands()].iter().map(value).collect())])
            };
            Box::new(made)
        };
        log.append_linked(first(), linked(1)).expect("append");
        assert_eq!(commits(), before + 1);
        // What can't be stored is refused alone, and the thread that writes goes on.
        let refused = log.append_linked(first(), linked(RECORD_BYTES + 1));
        assert!(matches!(refused, Err(LogError::Refused { .. })), "{refused:?}");
        let failed = log.append_linked(first(), Box::new(|_| panic!("as the test has it")));
        assert!(matches!(failed, Err(LogError::Refused { .. })), "{failed:?}");
        log.append_linked(first(), linked(2)).expect("append");
        let events = log.read(&Topic::Events.partition(0), 0, WHOLE).expect("read").records;
        assert_eq!(events.iter().map(|event| event.key.clone()).collect::<Vec<_>>(), [b"0", b"3"]);
        assert_eq!(values(&log, &commands(), 0).len(), 4);
    }

    #[test]
    fn a_fenced_writer_is_refused_by_the_thread_that_writes_too() {
        let directory = TempDir::new().expect("a directory");
        let log = EmbeddedLog::open(directory.path(), Options::new(4)).expect("open");
        let requests = &log.writing().expect("a writer").requests;
        let (epoch, _) = requests.raise_epoch("owner-0").expect("an epoch");
        let commit = |epoch| {
            let author = Some(crate::group::Author { id: "owner-0".into(), epoch });
            requests.write(Transaction { author, writes: vec![(commands(), vec![record("a", "1")])], linked: None })
        };
        commit(epoch).expect("commit");
        requests.raise_epoch("owner-0").expect("an epoch");
        assert_eq!(commit(epoch), Err(LogError::Fenced));
        drop(log);
        let log = EmbeddedLog::open(directory.path(), Options::new(4)).expect("open");
        let (after, _) = log.writing().expect("a writer").requests.raise_epoch("owner-0").expect("an epoch");
        assert_eq!(after, epoch + 2);
    }

    #[test]
    fn a_clock_that_is_set_back_turns_nothing_around() {
        let (directory, clock) = (TempDir::new().expect("a directory"), SetClock::default());
        let mut times = Vec::new();
        for now in [1000, 2000, 500, 3000] {
            clock.set(now);
            let log = open_at(&directory, &clock);
            let offset = log.append(&commands(), vec![record("a", "1")]).expect("append")[0];
            times.push(log.read(&commands(), offset, WHOLE).expect("read").records[0].appended_at.millis());
        }
        assert_eq!(times, [1000, 2000, 2000, 3000]);
    }

    #[test]
    fn what_is_past_its_topics_time_is_deleted_in_slices_and_nothing_else() {
        let (directory, clock) = (TempDir::new().expect("a directory"), SetClock::default());
        let log = open_at(&directory, &clock);
        let many = |count: usize| (0..count).map(|_| record("a", "old")).collect::<Vec<_>>();
        log.append(&commands(), many(2500)).expect("append");
        log.append(&Topic::Events.partition(0), many(1)).expect("append");
        clock.set(DAY_MS);
        log.append(&commands(), vec![record("a", "young")]).expect("append");
        log.sweep().expect("sweep");
        assert_eq!(log.bounds(&commands()), Ok(Bounds { start: 0, end: 2501 }));
        clock.set(30 * DAY_MS + 1);
        log.sweep().expect("sweep");
        assert_eq!(log.bounds(&commands()), Ok(Bounds { start: 2500, end: 2501 }));
        let lost = log.read(&commands(), 2499, WHOLE);
        assert_eq!(lost, Err(LogError::Lost { at: commands(), asked: 2499, start: 2500 }));
        assert_eq!(values(&log, &Topic::Events.partition(0), 0), ["old"]);
        clock.set(31 * DAY_MS + 1);
        log.sweep().expect("sweep");
        drop(log);
        // Nothing is left; offsets and time go on where they were.
        let log = open_at(&directory, &clock);
        assert_eq!(log.bounds(&commands()), Ok(Bounds { start: 2501, end: 2501 }));
        clock.set(0);
        assert_eq!(log.append(&commands(), vec![record("a", "new")]), Ok(vec![2501]));
        let record = &log.read(&commands(), 2501, WHOLE).expect("read").records[0];
        assert_eq!(record.appended_at.millis(), DAY_MS);
    }

    #[test]
    fn a_log_that_is_busy_deletes_by_itself() {
        let (directory, clock) = (TempDir::new().expect("a directory"), SetClock::default());
        let options = Options { clock: Box::new(clock.clone()), sweep_every: Duration::ZERO, ..Options::new(4) };
        let log = EmbeddedLog::open(directory.path(), options).expect("open");
        log.append(&commands(), vec![record("a", "old")]).expect("append");
        clock.set(31 * DAY_MS);
        while log.bounds(&commands()).expect("bounds").start == 0 {
            log.append(&commands(), vec![record("a", "young")]).expect("append");
        }
        assert_eq!(log.bounds(&commands()).expect("bounds").start, 1);
    }

    #[test]
    fn a_compacted_topic_keeps_the_newest_of_a_key_and_sweeps_tombstones() {
        let (directory, clock) = (TempDir::new().expect("a directory"), SetClock::default());
        let log = open_at(&directory, &clock);
        let tombstone = NewRecord { value: None, ..record("b", "") };
        log.append(&keys(), vec![record("a", "a1"), record("b", "b1"), record("a", "a2")]).expect("append");
        log.append(&keys(), vec![tombstone, record("c", "c1")]).expect("append");
        assert_eq!(values(&log, &keys(), 0), ["a2", "gone", "c1"]);
        clock.set(TOMBSTONE_MS + 1);
        log.sweep().expect("sweep");
        assert_eq!(values(&log, &keys(), 0), ["a2", "c1"]);
        log.append(&keys(), vec![NewRecord { value: None, ..record("c", "") }]).expect("append");
        clock.set(3 * TOMBSTONE_MS);
        log.sweep().expect("sweep");
        // Behind the last record that is left, reading still gets to the end.
        let batch = log.read(&keys(), 0, WHOLE).expect("read");
        assert_eq!((batch.records.len(), batch.next), (1, 6));
        drop(log);
        assert_eq!(values(&open_at(&directory, &clock), &keys(), 0), ["a2"]);
    }

    #[test]
    fn what_is_erased_can_not_be_read_from_the_files() {
        const SECRET: &str = "correct-horse-battery-staple";
        let (directory, clock) = (TempDir::new().expect("a directory"), SetClock::default());
        let log = open_at(&directory, &clock);
        let found = || {
            let copy = TempDir::new().expect("a directory");
            let from = directory.path().join(".");
            assert!(Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().expect("cp").success());
            let holds = |file: &str| {
                let bytes = std::fs::read(copy.path().join(file)).expect("a file of the log");
                bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
            };
            holds("log.db") || holds("log.db-wal")
        };
        // Neighbours, so that what is erased leaves a hole and no empty page.
        let mut records = vec![record("a", "1"), record("b", &SECRET.repeat(50)), record("c", "3")];
        log.append(&keys(), records.clone()).expect("append");
        assert!(found());
        records[1].value = None;
        log.append(&keys(), records).expect("append");
        log.sweep().expect("sweep");
        assert!(!found());
    }

    #[test]
    fn what_does_not_fit_is_refused_and_says_what_would() {
        let directory = TempDir::new().expect("a directory");
        let log = EmbeddedLog::open(directory.path(), Options::new(4)).expect("open");
        let beyond = log.append(&Topic::Events.partition(4), vec![record("a", "1")]).unwrap_err().to_string();
        assert!(beyond.contains("tradewind.events has 4 partitions"), "{beyond}");
        assert!(log.append(&Topic::Keys.partition(1), vec![record("a", "1")]).is_err());
        let large = NewRecord { value: Some(vec![0; RECORD_BYTES + 1]), ..NewRecord::default() };
        assert!(matches!(log.append(&commands(), vec![large]), Err(LogError::Refused { .. })));
        assert_eq!(log.append(&commands(), Vec::new()), Ok(Vec::new()));
        drop(log);
        let other = EmbeddedLog::open(directory.path(), Options::new(5)).unwrap_err().to_string();
        assert!(other.contains("it has 4 partitions, and 5 are configured"), "{other}");
        let nowhere = EmbeddedLog::open_reader(&directory.path().join("nowhere")).unwrap_err();
        assert!(matches!(nowhere, OpenError::Unfit { .. }), "{nowhere}");
    }

    #[test]
    fn a_log_that_was_closed_is_one_file_and_its_companions() {
        let directory = TempDir::new().expect("a directory");
        let log = EmbeddedLog::open(directory.path(), Options::new(4)).expect("open");
        log.append(&commands(), vec![record("a", "1")]).expect("append");
        values(&log, &commands(), 0);
        drop(log);
        let names = std::fs::read_dir(directory.path()).expect("the directory");
        let mut names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        assert_eq!(names, ["durable", "lock", "log.db"]);
    }
}
