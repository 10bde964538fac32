//! Kafka in, decisions and commands out, exactly once: facts a second, against
//! librdkafka reading the same topic.
//!
//! `--facts N --tenants N --partitions N --customers N --memory-mib N --hours N --seed N`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tradewind_benches::broker::Broker;
use tradewind_benches::figures::{micros_each, percent, rate, share};
use tradewind_benches::owners::{Memory, Owners};
use tradewind_benches::processes::top;
use tradewind_benches::scratch::Scratch;
use tradewind_benches::usage::{OURSELVES, broker_pid, forget_peak, peak_mib, processor_time};
use tradewind_benches::workload::{Shape, Workload};
use tradewind_benches::{arguments, load, machine, raw};
use tradewind_log_kafka::{KafkaLog, KafkaSettings, prepare};
use tradewind_ports::{EventLog, Topic};

/// Slower than any run that is worth a figure.
const AT_MOST: Duration = Duration::from_secs(600);

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn main() {
    let shape = Shape {
        facts: arguments::number("--facts", 1_000_000),
        tenants: arguments::small("--tenants", 64),
        partitions: arguments::small("--partitions", 1),
        customers: arguments::number("--customers", 1_000_000),
        hours: i64::from(arguments::small("--hours", 24)),
        seed: arguments::number("--seed", 1),
    };
    let memory = Memory {
        mib: arguments::small("--memory-mib", if shape.partitions > 4 { 1_024 } else { 512 }),
        partitions: shape.partitions,
    };
    if let Some(bootstrap) = arguments::text("--fill") {
        return fill(&bootstrap, shape, memory);
    }
    println!("{}", machine::describe());
    let scratch = Scratch::new("turns");
    let broker = Broker::start(&top(), &scratch.join("kafka"));
    let settings = settings(&broker.address, memory);
    let vendor = |name| tradewind_simulation::shop::vendor(name);
    prepare(&settings, &[Topic::Events, Topic::Decisions, Topic::Directory, Topic::Commands(vendor("klaviyo"))])
        .expect("a broker that takes our topics");
    let (facts, records) = filled(&broker.address);
    let broker_pid = broker_pid(&scratch.join("kafka"));

    let log: Arc<dyn EventLog> = Arc::new(KafkaLog::connect(settings.clone()).expect("settings that are good"));
    let end = |partition| log.bounds(&Topic::Events.partition(partition)).expect("a broker that answers").end;
    let ends: Vec<u64> = (0..shape.partitions).map(end).collect();
    let processor = || (processor_time(OURSELVES), processor_time(&broker_pid));
    let before = processor();
    let took = raw::consume(&broker.address, &settings.topic_name(&Topic::Events), &ends);
    let after = processor();
    let raw = rate(records, took);
    println!(
        "raw consume: {raw:.0} records/s; processor us a record: {:.2} ours, {:.2} the broker's",
        micros_each(after.0 - before.0, records),
        micros_each(after.1 - before.1, records)
    );

    forget_peak();
    let before = processor();
    let begun = Instant::now();
    let output = settings.output_limit_bytes().expect("memory enough");
    let owners = Owners::start(&log, memory, Some(output), scratch.path());
    owners.wait_for(records, AT_MOST);
    let took = begun.elapsed();
    let after = processor();
    let peak = peak_mib();
    let (decisions, commands) =
        (owners.count("orchestrator_decisions_total"), owners.count("orchestrator_commands_total"));
    let turns = rate(facts, took);
    println!(
        "turns: {turns:.0} facts of commerce/s in {:.1} s, recovery of an empty partition and drains included",
        took.as_secs_f64()
    );
    let taken = owners.count("orchestrator_turn_seconds_count").max(1);
    println!("turns that did something: {taken}, {:.0} records each", records as f64 / taken as f64);
    println!("ratio to raw consume (records): {}", percent(rate(records, took), raw));
    println!(
        "decisions {decisions} ({} of facts), commands {commands} ({})",
        share(decisions, facts),
        share(commands, facts)
    );
    println!(
        "processor us a fact: {:.2} ours, {:.2} the broker's",
        micros_each(after.0 - before.0, facts),
        micros_each(after.1 - before.1, facts)
    );
    println!("resident at most {peak} MiB with {} MiB configured", memory.mib);
    owners.stop();
    println!("disk {} MiB", scratch.mib());
}

fn settings(bootstrap: &str, memory: Memory) -> KafkaSettings {
    KafkaSettings {
        partitions: memory.partitions,
        is_dev: true,
        memory_bytes: memory.kafka_bytes(),
        ..KafkaSettings::new(bootstrap, "benches")
    }
}

/// In a process of its own, so that what it takes counts for nothing here.
fn filled(bootstrap: &str) -> (u64, u64) {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    let output = command.args(std::env::args().skip(1)).args(["--fill", bootstrap]).output().expect("this program");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let (line, numbers) = said.trim_end().rsplit_once('\n').expect("two lines");
    println!("{line}");
    let mut numbers = numbers.split(' ').map(|number| number.parse().expect("a number"));
    (numbers.next().expect("facts"), numbers.next().expect("records"))
}

fn fill(bootstrap: &str, shape: Shape, memory: Memory) {
    let log = KafkaLog::connect(settings(bootstrap, memory)).expect("settings that are good");
    let begun = Instant::now();
    let filled = load::fill(&log, shape.partitions, &mut Workload::new(shape)).expect("a broker that takes facts");
    println!(
        "filled: {} facts of commerce of {} customers and {} tenants in {} partitions, {} h; {} records of {} bytes and {} of headers; {:.0} records/s",
        filled.facts,
        shape.customers,
        shape.tenants,
        shape.partitions,
        shape.hours,
        filled.records,
        filled.value_bytes / filled.records,
        filled.header_bytes / filled.records,
        rate(filled.records, begun.elapsed())
    );
    println!("{} {}", filled.facts, filled.records);
}
