//! What is done to a broker, and what a test needs around the log.

use std::process::Command;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tradewind_domain::Vendor;
use tradewind_log_kafka::{KafkaLog, KafkaSettings, prepare};
use tradewind_ports::{EventLog, Headers, NewRecord, ReadLimit, Record, Topic, TopicPartition};

pub(crate) use crate::local::Broker;
use crate::local::address;

impl Broker {
    /// At once and without a word, as SIGKILL does.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
    }

    /// Alive, and silent until [`Broker::resume`]. The signal is sent at once but obeyed when one of the process's
    /// threads gets its turn, which on a busy machine is time enough to answer a request: this waits until all stand.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.all_threads_stand() {
            assert!(Instant::now() < deadline, "a stopped broker goes on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn all_threads_stand(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("a process has threads");
        threads.into_iter().all(|thread| {
            let stat = thread.expect("a thread").path().join("stat");
            // A thread that has ended since stands as well.
            let stat = std::fs::read_to_string(stat).unwrap_or_default();
            stat.is_empty() || stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        })
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid()]).status().expect("kill runs");
        assert!(sent.success());
    }

    fn pid(&self) -> String {
        let pid = std::fs::read_to_string(self.directory.join("pid")).expect("a running broker has a pid");
        pid.trim().to_owned()
    }

    /// After a kill; waits until it answers.
    pub(crate) fn restart(&self) {
        // Waits until the killed process is gone.
        assert!(self.local(&["kill"]).status.success());
        assert_eq!(address(&self.local(&["start"])), self.address);
    }

    pub(crate) fn settings(&self, prefix: &str) -> KafkaSettings {
        KafkaSettings {
            partitions: 2,
            is_dev: true,
            topic_prefix: format!("{prefix}."),
            ..KafkaSettings::new(&self.address, prefix)
        }
    }

    /// A log with topics of its own.
    pub(crate) fn log(&self, prefix: &str) -> KafkaLog {
        let settings = self.settings(prefix);
        prepare(&settings, &topics()).expect("topics can be made");
        KafkaLog::connect(settings).expect("the settings are good")
    }

    /// A topic that we wouldn't make so. What is altered later, brokers show and act on with a delay.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (setting, value)| topic.set(setting, value));
        let results = self.admin(async |admin, options| admin.create_topics([&topic], options).await);
        assert_eq!(results.expect("an answer"), [Ok(name.to_owned())]);
    }

    pub(crate) fn admin<T>(&self, ask: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions) -> T) -> T {
        let client = ClientConfig::new().set("bootstrap.servers", &self.address).create().expect("an admin client");
        block_on(ask(&client, &AdminOptions::new()))
    }
}

pub(crate) fn vendor() -> Vendor {
    Vendor::new("klaviyo").expect("a vendor")
}

pub(crate) fn topics() -> [Topic; 5] {
    [Topic::Events, Topic::Decisions, Topic::Commands(vendor()), Topic::DeadLetter, Topic::Owners]
}

pub(crate) fn events() -> TopicPartition {
    Topic::Events.partition(0)
}

pub(crate) fn decisions() -> TopicPartition {
    Topic::Decisions.partition(0)
}

pub(crate) fn record(text: &str) -> NewRecord {
    NewRecord {
        key: b"demo".to_vec(),
        headers: Headers::new().with("ce_id", text.as_bytes()),
        value: Some(text.as_bytes().to_vec()),
    }
}

/// A record whose value no compression makes smaller.
pub(crate) fn noise(bytes: usize) -> NewRecord {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let value = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    });
    NewRecord { value: Some(value.take(bytes).collect()), ..record("noise") }
}

/// What the partition holds up to the end its brokers tell.
pub(crate) fn read_all(log: &KafkaLog, at: &TopicPartition) -> Vec<Record> {
    let end = log.bounds(at).expect("bounds").end;
    let mut records = Vec::new();
    let mut next = 0;
    while next < end {
        let batch = log.read(at, next, ReadLimit { records: 10_000, bytes: 64 << 20 }).expect("read");
        assert!(batch.next > next, "stopped at {next}, before the end {end}");
        next = batch.next;
        records.extend(batch.records);
    }
    records
}

pub(crate) fn texts(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
    records.iter().map(text).collect()
}
