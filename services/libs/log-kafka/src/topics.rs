//! Topics are made and checked by us at start, never by the broker on first use.

use std::fmt;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;
use tradewind_ports::{Cleanup, Topic};

use crate::settings::{ANSWER_WITHIN, KafkaSettings, Mismatch, SetupError};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Kafka's own default, which leaves room for the largest record we send.
const BATCH_BYTES_MIN: i64 = 1_048_588;
const REPLICAS_MIN: usize = 3;
const IN_SYNC_MIN: i64 = 2;
const METADATA_PAUSE: Duration = Duration::from_millis(50);
/// Refuses a record for a transaction that has ended behind its writer's back.
const VERIFICATION: &str = "transaction.partition.verification.enable";

type Admin = AdminClient<DefaultClientContext>;

/// What [`prepare`] did, for the line an operator reads at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Topics that weren't there.
    pub created: Vec<String>,
    /// What could not be looked at, and why.
    pub unchecked: Vec<String>,
}

/// Makes the topics that are missing and checks all of them, and the brokers: append times by the broker, cleanup, retention,
/// partitions, size of a record; and unless `is_dev`, three replicas of which two must have a record before it counts,
/// and that brokers verify transactions.
///
/// Nothing that exists is changed.
///
/// # Errors
///
/// [`SetupError::Cluster`] names all that is wrong and the command that mends it.
pub fn prepare(settings: &KafkaSettings, topics: &[Topic]) -> Result<Prepared, SetupError> {
    settings.check()?;
    let unreachable = |error: KafkaError| SetupError::Unreachable {
        bootstrap: settings.bootstrap.clone(),
        reason: error.to_string(),
    };
    let admin: Admin = settings.base().create().map_err(unreachable)?;
    let mut prepared = Prepared::default();
    let metadata = admin.inner().fetch_metadata(None, ANSWER_WITHIN).map_err(unreachable)?;
    let missing: Vec<&Topic> =
        topics.iter().filter(|topic| found(&metadata, &settings.topic_name(topic)).is_none()).collect();
    let mut mismatches = Vec::new();
    if !missing.is_empty() {
        let brokers = metadata.brokers().len();
        for result in create(&admin, settings, &missing).map_err(unreachable)? {
            match result {
                Ok(name) => prepared.created.push(name),
                // Another process was faster.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => mismatches.push(not_created(settings, name, code, brokers)),
            }
        }
    }
    if mismatches.is_empty() {
        let metadata = await_leaders(&admin, settings, topics).map_err(unreachable)?;
        mismatches.extend(topics.iter().flat_map(|topic| check_shape(settings, topic, &metadata)));
        mismatches.extend(check_settings(&admin, settings, topics).map_err(unreachable)?);
        if !settings.is_dev {
            mismatches.extend(check_brokers(&admin, settings, &metadata, &mut prepared.unchecked));
        }
    }
    if mismatches.is_empty() { Ok(prepared) } else { Err(SetupError::Cluster(mismatches)) }
}

/// A setting of a topic and the values it may have.
struct Wanted {
    setting: &'static str,
    bound: Bound,
}

impl Wanted {
    fn to_set(&self) -> (&'static str, String) {
        (self.setting, self.bound.value())
    }
}

#[derive(Clone, Copy)]
enum Bound {
    Exactly(&'static str),
    Equal(i64),
    AtLeast(i64),
    AtMost(i64),
}

impl Bound {
    fn admits(self, found: &str) -> bool {
        let number = found.parse::<i64>();
        match self {
            Bound::Exactly(text) => found == text,
            Bound::Equal(wanted) => number == Ok(wanted),
            Bound::AtLeast(least) => number.is_ok_and(|number| number >= least),
            Bound::AtMost(most) => number.is_ok_and(|number| number <= most),
        }
    }

    /// The value to set.
    fn value(self) -> String {
        match self {
            Bound::Exactly(text) => text.into(),
            Bound::Equal(number) | Bound::AtLeast(number) | Bound::AtMost(number) => number.to_string(),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Exactly(text) => formatter.write_str(text),
            Bound::Equal(number) => write!(formatter, "{number}"),
            Bound::AtLeast(number) => write!(formatter, "at least {number}"),
            Bound::AtMost(number) => write!(formatter, "at most {number}"),
        }
    }
}

fn wanted(settings: &KafkaSettings, topic: &Topic) -> Vec<Wanted> {
    let want = |setting, bound| Wanted { setting, bound };
    let mut wanted = vec![
        want("message.timestamp.type", Bound::Exactly("LogAppendTime")),
        want("max.message.bytes", Bound::AtLeast(BATCH_BYTES_MIN)),
    ];
    match topic.cleanup() {
        Cleanup::KeptForEver => wanted.extend([
            want("cleanup.policy", Bound::Exactly("delete")),
            want("retention.ms", Bound::Equal(-1)),
            want("retention.bytes", Bound::Equal(-1)),
        ]),
        Cleanup::DeletedAfterMs(ms) => wanted.extend([
            want("cleanup.policy", Bound::Exactly("delete")),
            want("retention.ms", Bound::Equal(ms)),
            want("retention.bytes", Bound::Equal(-1)),
        ]),
        Cleanup::Compacted => wanted.push(want("cleanup.policy", Bound::Exactly("compact"))),
    }
    if *topic == Topic::Keys {
        // A key that was erased is gone from the brokers' disks soon after.
        wanted.push(want("max.compaction.lag.ms", Bound::AtMost(HOUR_MS)));
        wanted.push(want("segment.ms", Bound::AtMost(HOUR_MS)));
        // Kafka's own default: who has read it within a day sees every tombstone.
        wanted.push(want("delete.retention.ms", Bound::AtLeast(DAY_MS)));
    }
    if !settings.is_dev {
        wanted.push(want("min.insync.replicas", Bound::AtLeast(IN_SYNC_MIN)));
        wanted.push(want("unclean.leader.election.enable", Bound::Exactly("false")));
    }
    wanted
}

fn found<'a>(metadata: &'a Metadata, name: &str) -> Option<&'a MetadataTopic> {
    metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_WITHIN))
}

fn create(admin: &Admin, settings: &KafkaSettings, topics: &[&Topic]) -> Result<Vec<TopicResult>, KafkaError> {
    let replicas = if settings.is_dev { 1 } else { 3 };
    let names: Vec<String> = topics.iter().map(|topic| settings.topic_name(topic)).collect();
    let values: Vec<Vec<(&str, String)>> =
        topics.iter().map(|topic| wanted(settings, topic).iter().map(Wanted::to_set).collect()).collect();
    let new_topics: Vec<NewTopic<'_>> = topics
        .iter()
        .zip(&names)
        .zip(&values)
        .map(|((topic, name), values)| {
            let partitions = i32::try_from(settings.partitions_of(topic)).unwrap_or(i32::MAX);
            let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
            values.iter().fold(topic, |topic, (setting, value)| topic.set(setting, value))
        })
        .collect();
    block_on(admin.create_topics(&new_topics, &options().operation_timeout(Some(ANSWER_WITHIN))))
}

fn not_created(settings: &KafkaSettings, name: String, code: RDKafkaErrorCode, brokers: usize) -> Mismatch {
    let is_too_small = code == RDKafkaErrorCode::InvalidReplicationFactor;
    Mismatch {
        what: format!("topic {name}"),
        setting: "the topic".into(),
        found: format!("missing, and refused when created: {code}"),
        expected: "there".into(),
        fix: if is_too_small {
            format!(
                "add brokers to {}, which has {brokers} of at least {REPLICAS_MIN}; for development set dev = true in [kafka]",
                settings.bootstrap
            )
        } else {
            format!("let this principal create topics, or create {name} for it")
        },
    }
}

/// The metadata once every partition has a leader, or as it is when the time is over.
fn await_leaders(admin: &Admin, settings: &KafkaSettings, topics: &[Topic]) -> Result<Metadata, KafkaError> {
    let deadline = Instant::now() + ANSWER_WITHIN;
    loop {
        let metadata = admin.inner().fetch_metadata(None, ANSWER_WITHIN)?;
        let has_leaders = |topic: &MetadataTopic| topic.partitions().iter().all(|partition| partition.leader() >= 0);
        let is_ready = |topic: &Topic| found(&metadata, &settings.topic_name(topic)).is_some_and(has_leaders);
        if topics.iter().all(is_ready) || Instant::now() >= deadline {
            return Ok(metadata);
        }
        std::thread::sleep(METADATA_PAUSE);
    }
}

/// Partitions and replicas.
fn check_shape(settings: &KafkaSettings, topic: &Topic, metadata: &Metadata) -> Vec<Mismatch> {
    let (name, bootstrap) = (settings.topic_name(topic), &settings.bootstrap);
    let mismatch = |setting: &str, found: String, expected: String, fix: String| Mismatch {
        what: format!("topic {name}"),
        setting: setting.into(),
        found,
        expected,
        fix,
    };
    let Some(topic_found) = found(metadata, &name) else {
        let fix = format!("look at the brokers' logs, then start again: {name} was created and is not shown");
        return vec![mismatch("the topic", "not shown".into(), "there".into(), fix)];
    };
    let mut mismatches = Vec::new();
    let (partitions, expected) = (topic_found.partitions().len(), settings.partitions_of(topic) as usize);
    if partitions != expected {
        let fix = if partitions < expected {
            format!("kafka-topics.sh --bootstrap-server {bootstrap} --alter --topic {name} --partitions {expected}")
        } else {
            format!(
                "set partitions to {partitions}, or another topic_prefix in [kafka] and import the log: partitions can't be taken away"
            )
        };
        mismatches.push(mismatch("partitions", partitions.to_string(), expected.to_string(), fix));
    }
    let replicas = topic_found.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
    if !settings.is_dev && replicas < REPLICAS_MIN {
        let fix = format!(
            "kafka-reassign-partitions.sh --bootstrap-server {bootstrap} --execute --reassignment-json-file FILE, where FILE gives \
             each partition of {name} {REPLICAS_MIN} replicas (--generate writes one to start from)"
        );
        mismatches.push(mismatch("replication factor", replicas.to_string(), format!("at least {REPLICAS_MIN}"), fix));
    }
    mismatches
}

fn value_of(resource: &ConfigResource, setting: &str) -> String {
    resource.get(setting).and_then(|entry| entry.value.clone()).unwrap_or_else(|| "not known to the broker".into())
}

fn check_settings(admin: &Admin, settings: &KafkaSettings, topics: &[Topic]) -> Result<Vec<Mismatch>, KafkaError> {
    let names: Vec<String> = topics.iter().map(|topic| settings.topic_name(topic)).collect();
    let specifiers: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let resources = block_on(admin.describe_configs(&specifiers, &options()))?;
    let mut mismatches = Vec::new();
    // The answers come in the order of the questions.
    for ((topic, name), resource) in topics.iter().zip(&names).zip(resources) {
        let resource = resource.map_err(KafkaError::AdminOp)?;
        for Wanted { setting, bound } in wanted(settings, topic) {
            let found = value_of(&resource, setting);
            if !bound.admits(&found) {
                mismatches.push(Mismatch {
                    what: format!("topic {name}"),
                    setting: setting.into(),
                    found,
                    expected: bound.to_string(),
                    fix: format!(
                        "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {name} --add-config {setting}={}",
                        settings.bootstrap,
                        bound.value()
                    ),
                });
            }
        }
    }
    Ok(mismatches)
}

fn check_brokers(
    admin: &Admin,
    settings: &KafkaSettings,
    metadata: &Metadata,
    unchecked: &mut Vec<String>,
) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for broker in metadata.brokers() {
        // A question about a broker goes to that broker, so each is asked by itself.
        let specifier = ResourceSpecifier::Broker(broker.id());
        let answer = block_on(admin.describe_configs(&[specifier], &options()));
        match answer.map(|mut answers| answers.pop()) {
            Ok(Some(Ok(resource))) => {
                let found = value_of(&resource, VERIFICATION);
                if found != "true" {
                    mismatches.push(Mismatch {
                        what: format!("broker {}", broker.id()),
                        setting: VERIFICATION.into(),
                        found,
                        expected: "true, as Kafka has it from 3.6 on".into(),
                        fix: format!(
                            "kafka-configs.sh --bootstrap-server {} --alter --entity-type brokers --entity-default --add-config {VERIFICATION}=true",
                            settings.bootstrap
                        ),
                    });
                }
            }
            Ok(Some(Err(code))) => unchecked.push(format!("{VERIFICATION} of broker {}: {code}", broker.id())),
            Ok(None) => unchecked.push(format!("{VERIFICATION} of broker {}: no answer", broker.id())),
            Err(error) => unchecked.push(format!("{VERIFICATION} of broker {}: {error}", broker.id())),
        }
    }
    mismatches
}
