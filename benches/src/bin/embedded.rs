//! The embedded log: records appended a second, by commits of different sizes and by many who wait for each other's,
//! and scanned again; against the same bytes appended to a bare file that is synced as often.
//!
//! `--seconds N`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tradewind_benches::figures::{percent, rate, spread};
use tradewind_benches::scratch::Scratch;
use tradewind_benches::workload::{Shape, Workload};
use tradewind_benches::{arguments, machine};
use tradewind_log_embedded::{EmbeddedLog, Options};
use tradewind_ports::{EventLog, NewRecord, ReadLimit, Topic};

const APPENDERS: usize = 16;
const BATCH: ReadLimit = ReadLimit { records: 10_000, bytes: 8 << 20 };

/// Different records, appended again and again.
const RECORDS: usize = 5_000;

fn main() {
    let window = Duration::from_secs(arguments::number("--seconds", 5));
    println!("{}", machine::describe());
    let scratch = Scratch::new("embedded");
    let log: Arc<dyn EventLog> =
        Arc::new(EmbeddedLog::open(&scratch.join("log"), Options::new(1)).expect("a directory to write to"));
    let records = records();
    let bytes: usize = records.iter().map(size).sum();
    println!("records of {} bytes with their headers", bytes / records.len());
    for batch in [1, 10, 100, 500, 5_000] {
        let bare = bare(&scratch.join("bare"), &records[..batch], window);
        let times = appended(log.as_ref(), &records[..batch], window);
        let appended = rate((times.len() * batch) as u64, times.iter().sum());
        println!(
            "{batch} a commit: {appended:.0} records/s, {} of the bare file; {}",
            percent(appended, bare),
            spread(times)
        );
    }
    let begun = Instant::now();
    let appenders: Vec<_> = (0..APPENDERS)
        .map(|number| {
            let (log, record) = (log.clone(), records[number].clone());
            thread::spawn(move || appended(log.as_ref(), &[record], window))
        })
        .collect();
    let times: Vec<Duration> = appenders.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    println!(
        "{APPENDERS} at once, 1 each: {:.0} records/s; {}",
        rate(times.len() as u64, begun.elapsed()),
        spread(times)
    );

    let (begun, mut next, mut count) = (Instant::now(), 0, 0);
    loop {
        let batch = log.read(&Topic::Events.partition(0), next, BATCH).expect("a log that is read");
        if batch.records.is_empty() {
            break;
        }
        count += batch.records.len() as u64;
        next = batch.next;
    }
    println!("scan of {count} records: {:.0} records/s", rate(count, begun.elapsed()));
    println!("disk {} MiB", scratch.mib());
}

fn records() -> Vec<NewRecord> {
    let shape = Shape { facts: RECORDS as u64, tenants: 1, partitions: 1, customers: 100_000, hours: 24, seed: 1 };
    let mut workload = Workload::new(shape);
    let steps = std::iter::repeat_with(|| workload.step()).take_while(|step| !step.is_empty());
    steps.flatten().map(|(_, record)| record).take(RECORDS).collect()
}

fn size(record: &NewRecord) -> usize {
    record.headers.as_bytes().len() + record.value.as_ref().map_or(0, |value| value.len())
}

/// How long each commit took.
fn appended(log: &dyn EventLog, records: &[NewRecord], window: Duration) -> Vec<Duration> {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < window {
        let records = records.to_vec();
        let before = Instant::now();
        log.append(&Topic::Events.partition(0), records).expect("a log that takes records");
        times.push(before.elapsed());
    }
    times
}

/// Records a second.
fn bare(path: &Path, records: &[NewRecord], window: Duration) -> f64 {
    let block: Vec<u8> = vec![b'.'; records.iter().map(size).sum()];
    let mut file = File::create(path).expect("a directory to write to");
    let (begun, mut commits) = (Instant::now(), 0);
    while begun.elapsed() < window {
        file.write_all(&block).and_then(|()| file.sync_data()).expect("a disk that takes it");
        commits += 1;
    }
    rate(commits * records.len() as u64, begun.elapsed())
}
