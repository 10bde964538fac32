//! Replay without emission: records decoded a second on one core, and folded
//! again with their decisions, against a bare scan of the same log.
//!
//! `--facts N --tenants N --customers N --memory-mib N --seed N`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use tradewind_benches::figures::{micros_each, percent, rate, share};
use tradewind_benches::owners::Memory;
use tradewind_benches::scratch::Scratch;
use tradewind_benches::usage::{OURSELVES, forget_peak, peak_mib, processor_time};
use tradewind_benches::workload::{Shape, Workload};
use tradewind_benches::{arguments, load, machine};
use tradewind_log_embedded::{EmbeddedLog, Options};
use tradewind_orchestrator::{Owner, Settings};
use tradewind_ports::{EventLog, ReadLimit, Record, StateStore, Topic};
use tradewind_simulation::{Broker, Faults, MemoryStore, ProcessId};
use tradewind_wire::record;

const BATCH: ReadLimit = ReadLimit { records: 10_000, bytes: 8 << 20 };

fn main() {
    let shape = Shape {
        facts: arguments::number("--facts", 500_000),
        tenants: arguments::small("--tenants", 64),
        partitions: 1,
        customers: arguments::number("--customers", 1_000_000),
        hours: 24,
        seed: arguments::number("--seed", 1),
    };
    let memory = Memory { mib: arguments::small("--memory-mib", 512), partitions: 1 };
    println!("{}", machine::describe());
    let scratch = Scratch::new("replay");
    let log: Arc<dyn EventLog> =
        Arc::new(EmbeddedLog::open(&scratch.join("log"), Options::new(1)).expect("a directory to write to"));
    let filled = load::fill(log.as_ref(), 1, &mut Workload::new(shape)).expect("a log that takes facts");
    let (decisions, decided) = decide(&log, memory, &scratch);
    println!(
        "log: {} facts of commerce, {} records of {} bytes and {} of headers, {decisions} decisions ({} of facts)",
        filled.facts,
        filled.records,
        filled.value_bytes / filled.records,
        filled.header_bytes / filled.records,
        share(decisions, filled.facts)
    );

    println!("decided the first time, drains included: {:.0} records/s", rate(filled.records, decided));
    let (scan, _) = scanned(log.as_ref(), filled.records, |_| {});
    println!("baseline, scan of the embedded log: {scan:.0} records/s");
    let (decoded, core) = scanned(log.as_ref(), filled.records, |stored| {
        std::hint::black_box(record::envelope(stored).expect("a fact"));
    });
    println!(
        "scan + full decode: {decoded:.0} records/s, {} of the scan; {core:.2} us of processor a record",
        percent(decoded, scan)
    );
    let records = kept(log.as_ref());
    let begun = Instant::now();
    for stored in &records {
        std::hint::black_box(record::envelope(stored).expect("a fact"));
    }
    println!("full decode alone, from memory: {:.0} records/s", rate(records.len() as u64, begun.elapsed()));

    let in_memory: Arc<dyn EventLog> = Arc::new(Broker::new().connect(ProcessId(1), &Faults::none()));
    copy(log.as_ref(), in_memory.as_ref());
    drop(records);
    // Nothing leaves for a store: what folding costs by itself.
    let unbounded = Settings { drain_leaves: usize::MAX, ..memory.settings(0, None) };
    let none = || MemoryStore::new().open(ProcessId(1), &Faults::none());
    for (name, log) in [("memory", &in_memory), ("the embedded log", &log)] {
        recovered(&format!("decode + fold from {name}, no store"), log, &unbounded, none(), filled.records, scan);
    }
    drop(in_memory);
    let store = memory.store(scratch.join("lost")).open().expect("an empty store").store;
    let settings = memory.settings(0, None);
    recovered(
        "a lost store folded again from the embedded log",
        &log,
        &settings,
        Box::new(store),
        filled.records,
        scan,
    );
    println!("disk {} MiB", scratch.mib());
}

/// Decides on everything, so that there is something to read again.
fn decide(log: &Arc<dyn EventLog>, memory: Memory, scratch: &Scratch) -> (u64, Duration) {
    let settings = memory.settings(0, None);
    let store = memory.store(scratch.join("first")).open().expect("an empty store").store;
    let mut owner = Owner::recover(settings, log.clone(), Box::new(store)).expect("a log to recover from");
    let (begun, mut decisions) = (Instant::now(), 0);
    loop {
        let turned = owner.turn().expect("a turn");
        decisions += u64::from(turned.decisions);
        owner.drain_slice().expect("a slice");
        if turned.facts + turned.wakeups == 0 {
            owner.checkpoint().expect("a checkpoint");
            return (decisions, begun.elapsed());
        }
    }
}

/// Reads all events; records a second, and processor time of one.
fn scanned(log: &dyn EventLog, count: u64, mut each: impl FnMut(&Record)) -> (f64, f64) {
    let (begun, before) = (Instant::now(), processor_time(OURSELVES));
    let mut next = 0;
    loop {
        let batch = log.read(&Topic::Events.partition(0), next, BATCH).expect("a log that is read");
        if batch.records.is_empty() {
            break;
        }
        batch.records.iter().for_each(&mut each);
        next = batch.next;
    }
    (rate(count, begun.elapsed()), micros_each(processor_time(OURSELVES) - before, count))
}

fn kept(log: &dyn EventLog) -> Vec<Record> {
    let mut records = Vec::new();
    scanned(log, 1, |stored| records.push(stored.clone()));
    records.truncate(200_000);
    records
}

fn copy(from: &dyn EventLog, to: &dyn EventLog) {
    for topic in [Topic::Events, Topic::Decisions] {
        let mut next = 0;
        loop {
            let batch = from.read(&topic.clone().partition(0), next, BATCH).expect("a log that is read");
            if batch.records.is_empty() {
                break;
            }
            next = batch.next;
            let records = batch
                .records
                .into_iter()
                .map(|Record { key, headers, value, .. }| tradewind_ports::NewRecord { key, headers, value });
            to.append(&topic.clone().partition(0), records.collect()).expect("memory");
        }
    }
}

fn recovered(
    name: &str,
    log: &Arc<dyn EventLog>,
    settings: &Settings,
    store: Box<dyn StateStore>,
    records: u64,
    scan: f64,
) {
    forget_peak();
    let (begun, before) = (Instant::now(), processor_time(OURSELVES));
    let owner = Owner::recover(settings.clone(), log.clone(), store).expect("a log to recover from");
    let (took, core): (Duration, _) = (begun.elapsed(), processor_time(OURSELVES) - before);
    assert!(owner.position().offset >= records, "expected to stand at the end, got {}", owner.position());
    let folded = rate(records, took);
    println!(
        "{name}: {folded:.0} records/s, {} of the scan; {:.2} us of processor a record; resident at most {} MiB",
        percent(folded, scan),
        micros_each(core, records),
        peak_mib()
    );
}
