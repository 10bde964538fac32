//! An idle system on Kafka: from a fact appended to the command it leads to, as
//! an actuator sees it; against the same fact seen by a reader of its own topic.
//!
//! Cart recovery runs with no quiet time. A checkout starts an instance, and with
//! the cart that follows its wakeup fires: that is the fact, and its command. Appended
//! together, the two lead to two decisions, and mostly to two turns.
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
    let times = each(log.as_ref(), &tenant, 0..events, pause, &seen, &Event::Baseline);
    let after = processor();
    println!("baseline, fact appended -> same fact seen by a reader: {}", spread(times));
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
    let mut next = events;
    let mut run = |count: u32, event: &Event| {
        let customers = next..next + count;
        next += count;
        each(log.as_ref(), &tenant, customers, pause, &seen, event)
    };
    let warm = run(300, &Event::Together);
    println!("warming up: {}", spread(warm));
    for (name, event) in [
        ("fact appended -> command seen by a reader", Event::Apart),
        ("two facts appended together -> command seen by a reader", Event::Together),
    ] {
        let turns = owners.count("orchestrator_turn_seconds_count");
        let before = processor();
        let times = run(events, &event);
        let after = processor();
        println!("{name}: {}", spread(times));
        say(before, after, events);
        println!("  turns {}", owners.count("orchestrator_turn_seconds_count") - turns);
    }
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

/// What is appended, and from when on it is waited for.
enum Event {
    /// A cart, seen where it is appended.
    Baseline,
    /// A cart, when its checkout has long been decided on.
    Apart,
    /// A checkout and its cart.
    Together,
}

/// Appends events, each when the one before has been seen and a pause is over.
fn each(
    log: &dyn EventLog,
    tenant: &Tenant,
    customers: Range<u32>,
    pause: Duration,
    seen: &Receiver<Instant>,
    event: &Event,
) -> Vec<Duration> {
    let append = |facts: Vec<NewFact>| {
        let now = wall();
        let facts = facts.into_iter().map(|made| record::event(&NewFact { produced_at: now, ..made }));
        log.append(&Topic::Events.partition(0), facts.collect()).expect("a broker that takes facts");
    };
    let one = |customer: u32| {
        thread::sleep(pause);
        let (now, token) = (wall(), format!("{customer:032x}"));
        let checkout = shop::checkout(tenant, &token, customer, 0, now, now);
        let cart = shop::cart(tenant, &token, now, now, 1);
        let (before, facts) = match event {
            Event::Baseline => (None, vec![cart]),
            Event::Apart => (Some(checkout), vec![cart]),
            Event::Together => (None, vec![checkout, cart]),
        };
        if let Some(before) = before {
            append(vec![before]);
            thread::sleep(pause);
        }
        // With long pauses a tick is faster than the event.
        assert!(seen.try_recv().is_err(), "expected nothing to be seen before the event: choose a shorter pause");
        let begun = Instant::now();
        append(facts);
        seen.recv_timeout(PATIENCE).expect("seen in time") - begun
    };
    customers.map(one).collect()
}
