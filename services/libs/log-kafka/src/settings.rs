//! What an operator says about the Kafka cluster, and what is made of it for librdkafka.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use tradewind_ports::Topic;

const MIB: u64 = 1 << 20;

/// What librdkafka holds for one partition beside the output of its turns (ADR 3).
const CLIENTS_OF_A_PARTITION: u64 = 6 * MIB;
/// A turn's output stands in memory twice: as written, and as compressed for the wire.
const COPIES_OF_THE_OUTPUT: u64 = 2;
/// Larger turns gain nothing (ADR 3).
const OUTPUT_MAX: u64 = 4 * MIB;
/// One decision record (512 KiB at most) and its commands must fit.
const OUTPUT_MIN: u64 = MIB;

/// The broker's limit is on a compressed batch and 1,048,588 unless set; below it, the client refuses first and
/// by record, and nothing was sent.
pub(crate) const RECORD_MAX_BYTES: usize = 1_000_000;
/// No call of a writer takes longer. Kept below the 20 s after which an owner that has ended no turn counts
/// as hung, so a broker that is silent is an error of the turn and not the end of the process.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// For one request to a broker; half of it is what a commit may take before its connection is distrusted.
pub(crate) const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);
/// librdkafka refuses a transaction time-out that isn't above the message time-out.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// With the grace its report gets, no longer than any other call.
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);
const APPEND_TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Where the cluster is and how this installation uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, more than one separated by commas.
    pub bootstrap: String,
    /// Names the installation in consumer groups, so that two may share a cluster.
    pub installation: String,
    /// Partitions of every topic that isn't single. Never changes in the life of an installation.
    pub partitions: u32,
    /// One broker without replication is good enough.
    pub is_dev: bool,
    /// What librdkafka may take of this process's memory, all partitions together.
    pub memory_bytes: u64,
    /// An append that wasn't acknowledged by then is given up; with it, whether it is on the log is unknown. From a
    /// second to an hour.
    pub append_timeout: Duration,
    /// Goes before every topic's name, and keeps writers and groups apart as well; empty unless two installations share
    /// a cluster.
    pub topic_prefix: String,
    /// Settings of librdkafka for reaching the cluster: `security.protocol`, `ssl.*`, `sasl.*`,
    /// `enable.ssl.certificate.verification`, `client.rack`, `broker.address.family`. No others.
    pub client: BTreeMap<String, String>,
}

impl KafkaSettings {
    /// The defaults: 16 partitions, 128 MiB, appends given up after 10 s, a production cluster.
    #[must_use]
    pub fn new(bootstrap: &str, installation: &str) -> KafkaSettings {
        KafkaSettings {
            bootstrap: bootstrap.into(),
            installation: installation.into(),
            partitions: 16,
            is_dev: false,
            memory_bytes: 128 * MIB,
            append_timeout: APPEND_TIMEOUT,
            topic_prefix: String::new(),
            client: BTreeMap::new(),
        }
    }

    /// How many bytes of decisions and commands a turn may put out, so that all partitions committing at one
    /// time stay within the memory.
    ///
    /// # Errors
    ///
    /// The memory doesn't suffice for that many partitions.
    pub fn output_limit_bytes(&self) -> Result<u64, SetupError> {
        let least = u64::from(self.partitions) * (CLIENTS_OF_A_PARTITION + COPIES_OF_THE_OUTPUT * OUTPUT_MIN);
        if self.partitions == 0 || self.memory_bytes < least {
            return Err(SetupError::Setting {
                setting: "memory_bytes".into(),
                found: self.memory_bytes.to_string(),
                expected: format!(
                    "at least {least} for {} partitions, of which there is at least one",
                    self.partitions
                ),
            });
        }
        let share = self.memory_bytes / u64::from(self.partitions) - CLIENTS_OF_A_PARTITION;
        Ok((share / COPIES_OF_THE_OUTPUT).min(OUTPUT_MAX))
    }

    /// The topic's name in this cluster.
    #[must_use]
    pub fn topic_name(&self, topic: &Topic) -> String {
        format!("{}{}", self.topic_prefix, topic.name())
    }

    /// An id of a writer or a group, which two installations of different prefixes never share, whatever they are named:
    /// neither a prefix nor a name holds a colon.
    fn own(&self, id: &str) -> String {
        if self.topic_prefix.is_empty() { id.into() } else { format!("{}:{id}", self.topic_prefix) }
    }

    pub(crate) fn partitions_of(&self, topic: &Topic) -> u32 {
        if topic.is_single() { 1 } else { self.partitions }
    }

    /// # Errors
    ///
    /// A setting that can't be used, by name.
    pub(crate) fn check(&self) -> Result<(), SetupError> {
        let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let refuse = |setting: &str, found: &str, expected: &str| {
            Err(SetupError::Setting { setting: setting.into(), found: found.into(), expected: expected.into() })
        };
        if self.bootstrap.is_empty() {
            return refuse("bootstrap", "", "host:port of a broker");
        }
        if self.installation.is_empty() || !is_name(&self.installation) {
            return refuse("installation", &self.installation, "letters, digits, '.', '_' and '-'");
        }
        if !is_name(&self.topic_prefix) {
            return refuse("topic_prefix", &self.topic_prefix, "letters, digits, '.', '_' and '-'");
        }
        for (name, value) in &self.client {
            let is_known = ["ssl.", "sasl."].iter().any(|prefix| name.starts_with(prefix))
                || ["security.protocol", "enable.ssl.certificate.verification", "client.rack", "broker.address.family"]
                    .contains(&name.as_str());
            if !is_known {
                return refuse("client", &format!("{name}={value}"), "settings for reaching the cluster only");
            }
        }
        // librdkafka takes zero for "never".
        if !APPEND_TIMEOUTS.contains(&self.append_timeout) {
            return refuse("append_timeout", &format!("{:?}", self.append_timeout), "from 1 s to 1 h");
        }
        self.output_limit_bytes().map(|_| ())
    }

    pub(crate) fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.client {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", format!("tradewind.{}", self.installation))
            .set("allow.auto.create.topics", "false")
            // 10 s by default, in which nothing moves after a broker has come back.
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string());
        config
    }

    /// Reads at explicit offsets; belongs to no group, though librdkafka wants the name of one.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", self.own(&format!("{}.reader", self.installation)))
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            // A full queue is looked at again after this: the default of a second costs three quarters of the speed.
            .set("fetch.queue.backoff.ms", "1")
            // 64 MiB by default, for each partition.
            .set("queued.max.messages.kbytes", "512")
            .set("fetch.message.max.bytes", "524288")
            .set("fetch.max.bytes", "1000000");
        config
    }

    /// Asks for the ends of partitions as a reader sees them.
    pub(crate) fn asker(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("isolation.level", "read_committed");
        config
    }

    fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("message.max.bytes", RECORD_MAX_BYTES.to_string());
        config
    }

    pub(crate) fn appender(&self) -> ClientConfig {
        let mut config = self.producer();
        config
            // Whoever appends waits for the answer, so waiting for company costs him.
            .set("linger.ms", "0")
            .set("message.timeout.ms", self.append_timeout.as_millis().to_string())
            .set("queue.buffering.max.kbytes", (4 * MIB / 1024).to_string());
        config
    }

    /// # Errors
    ///
    /// The memory doesn't suffice.
    pub(crate) fn writer(&self, id: &str) -> Result<ClientConfig, SetupError> {
        let queue = self.output_limit_bytes()? + 2 * MIB;
        let mut config = self.producer();
        config
            .set("transactional.id", self.own(id))
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string())
            .set("message.timeout.ms", MESSAGE_TIMEOUT.as_millis().to_string())
            .set("queue.buffering.max.kbytes", (queue / 1024).to_string())
            // With reports of success, rd_kafka_flush never ends before its time-out.
            .set("delivery.report.only.error", "true");
        Ok(config)
    }

    pub(crate) fn member(&self, group: &str, member: &str) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", self.own(&format!("{}.{group}", self.installation)))
            .set("group.instance.id", member)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "15000")
            .set("heartbeat.interval.ms", "1000")
            .set("max.poll.interval.ms", "30000")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Nobody writes to the topic of owners: there is nothing to miss.
            .set("auto.offset.reset", "latest");
        config
    }
}

/// Without the values in `client`, which may be passwords.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KafkaSettings")
            .field("bootstrap", &self.bootstrap)
            .field("installation", &self.installation)
            .field("partitions", &self.partitions)
            .field("is_dev", &self.is_dev)
            .field("memory_bytes", &self.memory_bytes)
            .field("append_timeout", &self.append_timeout)
            .field("topic_prefix", &self.topic_prefix)
            .field("client", &self.client.keys())
            .finish()
    }
}

/// Why the log can't be used as it is set up; somebody has to change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupError {
    /// A setting of ours.
    Setting { setting: String, found: String, expected: String },
    /// The cluster doesn't answer, or refuses us.
    Unreachable { bootstrap: String, reason: String },
    /// The cluster isn't as it must be.
    Cluster(Vec<Mismatch>),
}

/// One thing of the cluster that has to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The topic, or the broker.
    pub what: String,
    pub setting: String,
    pub found: String,
    pub expected: String,
    /// The command that changes it, or what to do where no command can.
    pub fix: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { what, setting, found, expected, fix } = self;
        write!(formatter, "{what}: {setting} is {found}, expected {expected}\n  fix: {fix}")
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Setting { setting, found, expected } => {
                write!(formatter, "use the setting {setting} of the Kafka log: found '{found}', expected {expected}")
            }
            SetupError::Unreachable { bootstrap, reason } => {
                write!(formatter, "ask the Kafka cluster at {bootstrap}: {reason}")
            }
            SetupError::Cluster(mismatches) => {
                formatter.write_str("use the Kafka cluster as it is:")?;
                mismatches.iter().try_for_each(|mismatch| write!(formatter, "\n{mismatch}"))
            }
        }
    }
}

impl std::error::Error for SetupError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> KafkaSettings {
        KafkaSettings::new("127.0.0.1:9092", "demo")
    }

    #[test]
    fn the_memory_is_shared_out_over_the_partitions() {
        let limit = |partitions, mib| KafkaSettings { partitions, memory_bytes: mib * MIB, ..settings() };
        assert_eq!(limit(16, 128).output_limit_bytes(), Ok(MIB));
        assert_eq!(limit(16, 192).output_limit_bytes(), Ok(3 * MIB));
        assert_eq!(limit(1, 512).output_limit_bytes(), Ok(4 * MIB));
        let refusal = limit(16, 127).output_limit_bytes().expect_err("too little").to_string();
        assert!(refusal.contains("at least 134217728 for 16 partitions"), "{refusal}");
        assert!(limit(0, 128).output_limit_bytes().is_err());
    }

    #[test]
    fn a_setting_that_would_break_a_promise_is_refused_by_name() {
        let with = |name: &str| KafkaSettings { client: BTreeMap::from([(name.into(), "x".into())]), ..settings() };
        assert_eq!(with("sasl.username").check(), Ok(()));
        assert_eq!(with("security.protocol").check(), Ok(()));
        for name in ["isolation.level", "acks", "transactional.id", "queued.max.messages.kbytes"] {
            let refusal = with(name).check().expect_err("refused").to_string();
            assert!(refusal.contains(name), "{refusal}");
        }
        assert!(KafkaSettings { installation: "a/b".into(), ..settings() }.check().is_err());
    }

    #[test]
    fn two_prefixes_never_share_a_writer_or_a_group() {
        let ids = |prefix: &str, installation: &str| {
            let settings =
                KafkaSettings { topic_prefix: prefix.into(), ..KafkaSettings::new("127.0.0.1:9092", installation) };
            assert_eq!(settings.check(), Ok(()));
            let writer = settings.writer(&format!("{installation}/orchestrator/0")).expect("enough memory");
            let member = settings.member("orchestrator", "0");
            [(writer, "transactional.id"), (member, "group.id"), (settings.reader(), "group.id")]
                .map(|(config, setting)| config.get(setting).expect("it is set").to_owned())
        };
        let plain = ids("", "tradewind");
        assert_eq!(plain, ["tradewind/orchestrator/0", "tradewind.orchestrator", "tradewind.reader"]);
        let all = [plain, ids("blue.", "tradewind"), ids("green.", "tradewind"), ids("", "blue.tradewind")];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert!(one.iter().all(|id| !other.contains(id)), "{one:?} and {other:?}");
            }
        }
        // What would make them ambiguous is no name.
        assert!(KafkaSettings { topic_prefix: "a:b".into(), ..settings() }.check().is_err());
    }

    #[test]
    fn an_append_is_given_up_some_time() {
        let with = |ms| KafkaSettings { append_timeout: Duration::from_millis(ms), ..settings() }.check();
        assert_eq!((with(1_000), with(3_600_000)), (Ok(()), Ok(())));
        for ms in [0, 999, 3_600_001] {
            let refusal = with(ms).expect_err("refused").to_string();
            assert!(refusal.contains("append_timeout"), "{refusal}");
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        let client = BTreeMap::from([("sasl.password".to_owned(), "secret".to_owned())]);
        let printed = format!("{:?}", KafkaSettings { client, ..settings() });
        assert!(printed.contains("sasl.password") && !printed.contains("secret"), "{printed}");
    }
}
