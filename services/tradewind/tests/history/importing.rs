//! The real store's orders, imported.

use std::collections::BTreeSet;
use std::path::Path;

use tempfile::tempdir;
use tradewind_engine::FOLD_VERSION;
use tradewind_log_embedded::EmbeddedLog;
use tradewind_ports::{EventLog, Topic};

use crate::local::Broker;
use crate::on_kafka::OnKafka;
use crate::process::{Running, tradewind};
use crate::{done, kept, orders};

const PARTITIONS: u32 = 2;

#[test]
fn a_directory_takes_the_real_store_in_and_folds_it_and_emits_nothing() {
    let Some(text) = orders::real() else { return };
    let directory = tempdir().unwrap();
    let import = || {
        let mut command = tradewind(directory.path(), &format!("partitions = {PARTITIONS}"));
        command.arg("import").arg(orders::path());
        done(command)
    };
    let said = import();
    assert!(said.contains("imported 69659 orders") && said.contains("folded up to offset"), "{said}");
    let installation = directory.path().join("installation");
    let log = EmbeddedLog::open_reader(&installation.join("log")).unwrap();
    assert_eq!(kept::emitted(&log, PARTITIONS), (0, 0));
    let expected = orders::counted(&text);
    assert_eq!((expected.orders, expected.customers), (69_659, 23_570));
    assert_eq!(orders::projected(&installation.join("state"), PARTITIONS, &text), expected);

    let said = import();
    assert!(said.contains("imported 0 orders") && said.contains("69659 were there already"), "{said}");
    assert_eq!(kept::emitted(&log, PARTITIONS), (0, 0));
}

#[test]
fn kafka_takes_the_real_store_in_and_its_orchestrator_folds_it_and_emits_nothing() {
    let Some(text) = orders::real() else { return };
    let Some(broker) = Broker::start("history-import") else { return };
    let directory = tempdir().unwrap();
    let installation = OnKafka::new(&broker, directory.path(), PARTITIONS);
    let mut command = installation.command("import");
    command.arg("--unpaced").arg(orders::path());
    let said = done(command);
    assert!(said.contains("imported 69659 orders"), "{said}");

    installation.make_key();
    let orchestrator = Running::start(installation.command("orchestrator"), "operations");
    let log = installation.log();
    let ends = (0..PARTITIONS).map(|partition| log.bounds(&Topic::Events.partition(partition)).unwrap().end);
    let facts: u64 = ends.sum();
    assert_eq!(facts, 69_659 + u64::from(PARTITIONS));
    orchestrator.wait_for("operations", "/metrics", |body| {
        let counted = body.lines().find_map(|line| line.strip_prefix("orchestrator_facts_total{} "))?;
        (counted.parse::<u64>().unwrap() >= facts).then_some(())
    });
    assert_eq!(orchestrator.terminate(), Some(0));
    assert_eq!(kept::emitted(&log, PARTITIONS), (0, 0));
    let state = installation.home.join("state");
    let counted = orders::counted(&text);
    assert_eq!(orders::projected(&state, PARTITIONS, &text), counted);

    as_of_an_older_release(&state);
    let orchestrator = Running::start(installation.command("orchestrator"), "operations");
    let seen = orchestrator.wait_for("operations", "/startupz", |said| {
        // Of the partition with the orders, which takes a while.
        (said.contains("catching up: at offset") && said.contains(" of 69660 ")).then(|| said.to_owned())
    });
    assert!(seen.contains("membership: catching up with the log before it joins"), "{seen}");
    assert!(
        state.join("0").join(folded_by(FOLD_VERSION - 1)).is_dir(),
        "it may go on from there until the next one has a checkpoint"
    );
    orchestrator.wait_for("operations", "/startupz", |said| (said.matches(": ready").count() == 5).then_some(()));
    assert_eq!(orchestrator.terminate(), Some(0));
    assert_eq!(kept::emitted(&log, PARTITIONS), (0, 0));
    assert_eq!(orders::projected(&state, PARTITIONS, &text), counted);
    for partition in 0..PARTITIONS {
        let left = std::fs::read_dir(state.join(partition.to_string())).unwrap();
        let left: BTreeSet<String> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let ours = folded_by(FOLD_VERSION);
        assert_eq!(left, BTreeSet::from([format!("{ours}.lock"), ours]));
    }
}

fn folded_by(fold_version: u32) -> String {
    format!("fold-{fold_version}")
}

/// What lies there was folded by a release whose fold is another one.
fn as_of_an_older_release(state: &Path) {
    let (ours, older) = (folded_by(FOLD_VERSION), folded_by(FOLD_VERSION - 1));
    for partition in 0..PARTITIONS {
        let at = |name: &str| state.join(partition.to_string()).join(name);
        std::fs::rename(at(&ours), at(&older)).unwrap();
        std::fs::rename(at(&format!("{ours}.lock")), at(&format!("{older}.lock"))).unwrap();
    }
    std::fs::write(state.join("caught-up"), format!("{}\n", FOLD_VERSION - 1)).unwrap();
}
