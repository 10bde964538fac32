//! An idle system on Kafka: from a fact appended to the command it leads to, as
//! an actuator sees it; against the same facts seen by a reader of its own topic.
//!
//! Cart recovery runs with no quiet time, and an event is a checkout and its cart,
//! appended together: the first starts an instance, and with the second its wakeup
//! fires. So each event leads to two decisions and one command.
//!
//! `--events N --pause-ms N`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::message::Message;
use tradewind_benches::broker::Broker;
use tradewind_benches::figures::{micros_each, spread};
use tradewind_benches::owners::{Memory, Owners};
use tradewind_benches::processes::top;
use tradewind_benches::scratch::Scratch;
use tradewind_benches::usage::{OURSELVES, broker_pid, processor_time};
use tradewind_benches::workload::{set_up_now, wall};
use tradewind_benches::{arguments, machine, raw};
use tradewind_domain::Tenant;
use tradewind_log_kafka::{KafkaLog, KafkaSettings, prepare};
use tradewind_ports::{EventLog, Topic};
use tradewind_simulation::shop;
use tradewind_wire::record::{self, NewFact};

const MEMORY: Memory = Memory { mib: 512, partitions: 1 };

/// An answer that takes so long never comes.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    let events = arguments::small("--events", 500);
    let pause = Duration::from_millis(arguments::number("--pause-ms", 50));
    println!("{}", machine::describe());
    let scratch = Scratch::new("latency");
    let broker = Broker::start(&top(), &scratch.join("kafka"));
    let settings = KafkaSettings {
        partitions: MEMORY.partitions,
        is_dev: true,
        memory_bytes: MEMORY.kafka_bytes(),
        ..KafkaSettings::new(&broker.address, "benches")
    };
    let commands = Topic::Commands(shop::vendor("klaviyo"));
    prepare(&settings, &[Topic::Events, Topic::Decisions, Topic::Directory, commands.clone()]).expect("a broker");
    let log: Arc<dyn EventLog> = Arc::new(KafkaLog::connect(settings.clone()).expect("settings that are good"));
    let tenant = shop::tenant(0);
    let at = Topic::Events.partition(0);
    log.append(&at, set_up_now(&tenant, 0)).expect("a broker that takes facts");
    let broker_pid = broker_pid(&scratch.join("kafka"));
    let processor = || (processor_time(OURSELVES), processor_time(&broker_pid));

    let from = log.bounds(&at).expect("a broker that answers").end;
    let seen = watch(&broker.address, &settings.topic_name(&Topic::Events), from);
    let before = processor();
    let times = each(log.as_ref(), &tenant, 0..events, pause, (&seen, 2));
    let after = processor();
    println!("baseline, facts appended -> same facts seen by a reader: {}", spread(times));
    say(before, after, events);
    drop(seen);

    let owners = Owners::start(&log, MEMORY, None, scratch.path());
    let records = log.bounds(&at).expect("a broker that answers").end;
    owners.wait_for(records, PATIENCE);
    let before = processor();
    thread::sleep(Duration::from_secs(5));
    let after = processor();
    println!(
        "idle: {:.1} ms of a core a second ours, {:.1} the broker's",
        idle(before.0, after.0),
        idle(before.1, after.1)
    );

    let from = log.bounds(&commands.clone().partition(0)).expect("a broker that answers").end;
    let seen = watch(&broker.address, &settings.topic_name(&commands), from);
    let warm = each(log.as_ref(), &tenant, events..events + 20, pause, (&seen, 1));
    let before = processor();
    let times = each(log.as_ref(), &tenant, events + 20..2 * events + 20, pause, (&seen, 1));
    let after = processor();
    println!("facts appended -> command seen by a reader: {}", spread(times));
    say(before, after, events);
    println!("warming up: {}", spread(warm));
    println!(
        "facts {}, decisions {}, commands {}",
        owners.count("orchestrator_facts_total"),
        owners.count("orchestrator_decisions_total"),
        owners.count("orchestrator_commands_total")
    );
    owners.stop();
}

fn idle(before: Duration, after: Duration) -> f64 {
    (after - before).as_secs_f64() * 1e3 / 5.0
}

fn say(before: (Duration, Duration), after: (Duration, Duration), events: u32) {
    println!(
        "  processor us an event, idle included: {:.0} ours with the probe's, {:.0} the broker's",
        micros_each(after.0 - before.0, events.into()),
        micros_each(after.1 - before.1, events.into())
    );
}

/// When each record behind `from` was seen by a `read_committed` reader.
fn watch(bootstrap: &str, topic: &str, from: u64) -> Receiver<Instant> {
    let consumer = raw::consumer(bootstrap, topic, 0, i64::try_from(from).expect("an offset"));
    let (sender, seen) = channel();
    thread::spawn(move || {
        loop {
            // What is no record is a broker that stops, in the end.
            let Some(Ok(message)) = consumer.poll(PATIENCE) else { continue };
            if message.payload().is_some() && sender.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    // The first fetch goes out.
    thread::sleep(Duration::from_secs(1));
    seen
}

/// Appends events, each when the one before has been seen and a pause is over. It
/// has been seen with so many records.
fn each(
    log: &dyn EventLog,
    tenant: &Tenant,
    customers: Range<u32>,
    pause: Duration,
    (seen, records): (&Receiver<Instant>, usize),
) -> Vec<Duration> {
    let one = |customer: u32| {
        thread::sleep(pause);
        let (now, token) = (wall(), format!("{customer:032x}"));
        let checkout = shop::checkout(tenant, &token, customer, 0, now, now);
        let facts = [checkout, shop::cart(tenant, &token, now, now, 1)];
        let facts = facts.map(|made| record::event(&NewFact { produced_at: now, ..made }));
        let begun = Instant::now();
        log.append(&Topic::Events.partition(0), facts.into()).expect("a broker that takes facts");
        (0..records).fold(begun, |_, _| seen.recv_timeout(PATIENCE).expect("seen in time")) - begun
    };
    customers.map(one).collect()
}
