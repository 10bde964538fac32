//! A restart after kill -9: a million customers in the store, a hundred thousand
//! facts behind it on the log. Seconds until decisions go on.
//!
//! `--customers N --behind N --memory-mib N`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use tradewind_benches::figures::rate;
use tradewind_benches::owners::Memory;
use tradewind_benches::scratch::Scratch;
use tradewind_benches::usage::peak_mib;
use tradewind_benches::workload::{Shape, Workload, set_up_now, wall};
use tradewind_benches::{arguments, load, machine};
use tradewind_domain::Arrival;
use tradewind_log_embedded::{EmbeddedLog, Options};
use tradewind_orchestrator::{Owner, Settings};
use tradewind_ports::{EventLog, NewRecord, ReadLimit, Topic};
use tradewind_simulation::shop::{self, OrderedBy};
use tradewind_wire::record::{self, NewFact};

/// Customers whose history is appended at once.
const BATCH: u64 = 5_000;

const TENANTS: u32 = 64;

/// What the other process says when everything stands.
const READY: &str = "ready";

fn main() {
    let customers = arguments::number("--customers", 1_000_000);
    let behind = arguments::number("--behind", 100_000);
    let memory = Memory { mib: arguments::small("--memory-mib", 512), partitions: 1 };
    if let Some(home) = arguments::text("--build") {
        return build(&PathBuf::from(home), memory, customers, behind);
    }
    println!("{}", machine::describe());
    let scratch = Scratch::new("restart");
    build_and_kill(scratch.path());
    println!("disk {} MiB", scratch.mib());

    let begun = Instant::now();
    let log = open_log(scratch.path());
    let log_opened = begun.elapsed();
    let opened = memory.store(scratch.join("state")).open().expect("a store that opens");
    assert_eq!(opened.rebuilt, None, "a kill damages nothing");
    let store_opened = begun.elapsed();
    let sizes = opened.store.sizes().expect("a readable store");
    let begun_recovery = Instant::now();
    let mut owner = Owner::recover(memory.settings(0, None), log.clone(), Box::new(opened.store)).expect("a recovery");
    let recovered = begun_recovery.elapsed();
    owner.turn().expect("a turn");
    let live = store_opened + begun_recovery.elapsed();
    let scanned = scan(log.as_ref(), behind);
    println!("store: {} leaves, {} due times, {} MiB on disk", sizes.leaves, sizes.due, sizes.disk_bytes >> 20);
    println!(
        "restart to the first turn: {:.2} s; log {:.2}, store {:.2}, recovery {:.2} ({:.0} facts/s)",
        live.as_secs_f64(),
        log_opened.as_secs_f64(),
        (store_opened - log_opened).as_secs_f64(),
        recovered.as_secs_f64(),
        rate(behind, recovered)
    );
    println!(
        "baseline, reading the same records: {scanned:.2} s; recovery took {:.1} times as long",
        recovered.as_secs_f64() / scanned
    );
    println!("resident at most {} MiB with {} MiB configured", peak_mib(), memory.mib);
    drop(owner);
}

fn open_log(home: &Path) -> Arc<dyn EventLog> {
    Arc::new(EmbeddedLog::open(&home.join("log"), Options::new(1)).expect("a log that opens"))
}

/// Reading the last so many events, and nothing else.
fn scan(log: &dyn EventLog, behind: u64) -> f64 {
    let at = Topic::Events.partition(0);
    let mut next = log.bounds(&at).expect("a log that is read").end.saturating_sub(behind);
    let begun = Instant::now();
    loop {
        let batch = log.read(&at, next, ReadLimit { records: 10_000, bytes: 8 << 20 }).expect("a log that is read");
        if batch.records.is_empty() {
            return begun.elapsed().as_secs_f64();
        }
        next = batch.next;
    }
}

/// Lets another process do the work, and kills it amid it.
fn build_and_kill(home: &Path) {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(std::env::args().skip(1)).arg("--build").arg(home).stdout(Stdio::piped());
    let mut child = command.spawn().expect("this program");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for line in lines.map_while(Result::ok) {
        if line == READY {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            return;
        }
        println!("{line}");
    }
    panic!("the process that builds ended: {:?}", child.wait());
}

fn build(home: &Path, memory: Memory, customers: u64, behind: u64) {
    let begun = Instant::now();
    let log = open_log(home);
    let store = || Box::new(memory.store(home.join("state")).open().expect("a store that opens").store);
    let at = Topic::Events.partition(0);
    log.append(&at, set_up_now(&shop::tenant(0), 120)).expect("a log that takes facts");
    let mut owner = Owner::recover(memory.settings(0, None), log.clone(), store()).expect("an empty log");
    for first in (0..customers).step_by(usize::try_from(BATCH).expect("small")) {
        let history = (first..(first + BATCH).min(customers)).map(known);
        log.append(&at, history.collect()).expect("a log that takes facts");
        while owner.turn().expect("a turn").facts > 0 {
            while owner.drain_slice().expect("a slice") {}
        }
    }
    owner.checkpoint().expect("a checkpoint");
    println!("{customers} customers stored in {:.0} s", begun.elapsed().as_secs_f64());
    drop(owner);

    let shape = Shape { facts: behind, tenants: TENANTS, partitions: 1, customers, hours: 24, seed: 1 };
    load::fill(log.as_ref(), 1, &mut Workload::new(shape)).expect("a log that takes facts");
    // Nothing of it reaches the store.
    let settings = Settings { drain_leaves: usize::MAX, ..memory.settings(0, None) };
    let mut owner = Owner::recover(settings, log, store()).expect("a log to go on with");
    let mut decisions = 0;
    loop {
        let turned = owner.turn().expect("a turn");
        decisions += u64::from(turned.decisions);
        if turned.facts + turned.wakeups == 0 {
            break;
        }
    }
    println!("{behind} facts behind, with {decisions} decisions");
    println!("{READY}");
    loop {
        std::thread::park();
    }
}

/// What is known of a customer who ordered once: it starts nothing.
fn known(customer: u64) -> NewRecord {
    let now = wall();
    let tenant = shop::tenant(u32::try_from(customer % u64::from(TENANTS)).expect("small"));
    let number = u32::try_from(customer).expect("fewer customers than 2^32");
    let made =
        shop::order(&tenant, &format!("{:032x}", u128::from(customer) << 64), number, OrderedBy::SameAddress, now);
    record::event(&NewFact { produced_at: now, arrival: Arrival::Backfill, ..made })
}
