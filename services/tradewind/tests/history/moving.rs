//! A log with live history, moved from a directory to Kafka with more partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::tempdir;
use tradewind_log_embedded::{EmbeddedLog, Options};
use tradewind_ports::{EventLog, Topic};
use tradewind_vault::{InstallationKey, VaultReader};
use tradewind_wire::vault;

use crate::done;
use crate::kept::{self, Kept};
use crate::local::Broker;
use crate::on_kafka::OnKafka;
use crate::process::{CONFIGURATION, Running, tradewind};

const FROM: u32 = 1;
const TO: u32 = 3;

#[test]
fn a_log_that_lived_in_a_directory_is_the_same_on_kafka_with_more_partitions() {
    let Some(broker) = Broker::start("history-move") else { return };
    let directory = tempdir().unwrap();
    let dev = Running::dev(directory.path());
    dev.wait_for("sandbox", "/sandbox/effects", |body| (body.matches("unique_id").count() >= 3).then_some(()));
    assert_eq!(dev.terminate(), Some(0));

    let target = OnKafka::new(&broker, directory.path(), TO);
    let relocate = || {
        let mut command = tradewind(directory.path(), CONFIGURATION);
        command.arg("move").arg(&target.config).arg("--leave-unsettled");
        done(command)
    };
    let said = relocate();
    assert!(said.contains("; 0 facts were there already") && said.contains("ahead of the clock on the wall"), "{said}");
    let said = relocate();
    assert!(!said.contains("; 0 facts were there already"), "{said}");

    let installation = directory.path().join("installation");
    let source: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(&installation.join("log"), Options::new(FROM)).unwrap());
    let target: Arc<dyn EventLog> = Arc::new(target.log());
    let (_, issued) = kept::emitted(source.as_ref(), FROM);
    assert!(issued >= 3, "{issued} commands on the topic it left");
    let (decided, emitted) = kept::emitted(target.as_ref(), TO);
    assert_eq!(emitted, 0);
    same(&Kept::of(&source, FROM), &Kept::of(&target, TO));
    assert_eq!(kept::emitted(target.as_ref(), TO), (decided, 0), "an owner there decides nothing anew");

    // What is sealed can be opened there, too.
    let key = InstallationKey::load(&installation.join("installation.key")).unwrap();
    let entries = VaultReader::open(&installation.join("vault"), key).unwrap().entries().unwrap();
    let expected: BTreeMap<_, _> = entries.into_iter().map(|entry| (*entry.id.as_bytes(), entry)).collect();
    let keys = kept::records(target.as_ref(), &Topic::Keys.partition(0));
    let moved = keys.iter().map(|record| vault::decode_record(record).unwrap().unwrap());
    assert_eq!(moved.map(|entry| (*entry.id.as_bytes(), entry)).collect::<BTreeMap<_, _>>(), expected);
    assert!(expected.len() > 5, "{} keys", expected.len());
}

fn same(source: &Kept, target: &Kept) {
    assert!(source.facts.len() > 50 && source.decisions.len() > 10, "{} facts", source.facts.len());
    assert_eq!(target.facts, source.facts);
    assert_eq!(target.decisions, source.decisions);
    assert!(source.commands.len() >= 3 && source.leaves.len() > 50, "{} leaves", source.leaves.len());
    assert_eq!(target.commands, source.commands);
    assert_eq!(target.leaves.len(), source.leaves.len());
    for (key, leaf) in &source.leaves {
        assert_eq!(target.leaves.get(key), Some(leaf), "{}", key.escape_ascii());
    }
    assert!(!source.due.is_empty());
    assert_eq!(target.due, source.due);
}
