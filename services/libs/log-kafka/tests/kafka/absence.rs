//! A broker that is away at the worst moment.

use std::time::Duration;

use tradewind_log_kafka::{KafkaLog, KafkaSettings, prepare};
use tradewind_ports::{EventLog, LogError, Topic, TopicPartition, Writer};

use crate::broker::{Broker, events, read_all, record, texts, topics, vendor};

/// Longer than a commit may take and be trusted, shorter than it takes to give up.
const LONG_SILENCE: Duration = Duration::from_secs(7);

/// Each with a partition of its own, so that one kill meets them at several moments.
const OWNERS: u32 = 4;

fn id(owner: u32) -> String {
    format!("owner-{owner}")
}

/// The topics a turn writes to.
fn places(owner: u32) -> [TopicPartition; 2] {
    [Topic::Decisions.partition(owner), Topic::Commands(vendor()).partition(owner)]
}

/// Decisions and commands, acknowledged; the commit is what the tests are about.
fn acknowledged(log: &KafkaLog, owner: u32, text: &str) -> Box<dyn Writer> {
    let mut writer = log.writer(&id(owner)).expect("a writer");
    writer.begin().expect("begin");
    for at in places(owner) {
        writer.send(&at, record(text)).expect("send");
        writer.acknowledge().expect("acknowledge");
    }
    writer
}

/// What is committed, by owner.
#[derive(Default)]
struct Committed([Vec<String>; OWNERS as usize]);

impl Committed {
    /// A successor finds what was committed before, and the text exactly if the commit succeeded; if nothing is
    /// known of the commit, all of it or nothing.
    fn settle(&mut self, log: &KafkaLog, owner: u32, text: &str, verdict: &Result<(), LogError>) {
        drop(log.writer(&id(owner)).expect("a successor"));
        let [found, commands] = places(owner).map(|at| texts(&read_all(log, &at)));
        assert_eq!(found, commands, "a transaction was torn");
        let committed = &mut self.0[owner as usize];
        let is_committed = match verdict {
            Ok(()) => true,
            Err(LogError::Indefinite { .. }) => found.len() > committed.len(),
            Err(error) => panic!("expected success or not to know, got {error}"),
        };
        if is_committed {
            committed.push(text.into());
        }
        assert_eq!(&found, committed, "the commit of {text} said {verdict:?}");
    }
}

/// All but the last commit within the milliseconds around the kill, the last one behind it; what each was told.
fn commit_amid_a_kill(broker: &Broker, mut writers: Vec<Box<dyn Writer>>) -> Vec<Result<(), LogError>> {
    let mut last = writers.pop().expect("a writer");
    std::thread::scope(|scope| {
        let late = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(3));
            broker.kill();
            last.commit()
        });
        let commit = |(number, mut writer): (usize, Box<dyn Writer>)| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(2) * u32::try_from(number).expect("a small number"));
                writer.commit()
            })
        };
        let commits: Vec<_> = writers.into_iter().enumerate().map(commit).collect();
        commits.into_iter().chain([late]).map(|commit| commit.join().expect("a verdict")).collect()
    })
}

#[test]
fn a_broker_that_dies_leaves_all_or_nothing() {
    let Some(broker) = Broker::start("absence") else { return };
    let settings = KafkaSettings { partitions: OWNERS, ..broker.settings("absence") };
    prepare(&settings, &topics()).expect("topics can be made");
    let log = KafkaLog::connect(settings).expect("good settings");
    log.append(&events(), vec![record("before")]).expect("append");
    let mut committed = Committed::default();

    eprintln!("absence: the broker dies amid commits");
    let writers = (0..OWNERS).map(|owner| acknowledged(&log, owner, "amid")).collect();
    let verdicts = commit_amid_a_kill(&broker, writers);
    let last = verdicts.last().expect("a verdict");
    assert!(matches!(last, Err(LogError::Indefinite { .. })), "nobody was there to commit, got {last:?}");
    broker.restart();
    for (owner, verdict) in (0..OWNERS).zip(&verdicts) {
        committed.settle(&log, owner, "amid", verdict);
    }

    eprintln!("absence: the broker is dead before the commit, and back before it is given up");
    let mut writer = acknowledged(&log, 0, "dead");
    broker.kill();
    let (verdict, begun) = std::thread::scope(|scope| {
        scope.spawn(|| broker.restart());
        (writer.commit(), writer.begin())
    });
    assert!(matches!(begun, Err(LogError::Indefinite { .. })), "after {verdict:?} got {begun:?}");
    drop(writer);
    committed.settle(&log, 0, "dead", &verdict);

    eprintln!("absence: the broker is silent for a while amid a commit");
    let mut writer = acknowledged(&log, 0, "silent");
    let verdict = std::thread::scope(|scope| {
        broker.pause();
        scope.spawn(|| {
            std::thread::sleep(LONG_SILENCE);
            broker.resume();
        });
        writer.commit()
    });
    // However it ended, the commit may have been sent twice, and the copy must not end another transaction.
    let begun = writer.begin();
    assert!(matches!(begun, Err(LogError::Indefinite { .. })), "after {verdict:?} got {begun:?}");
    drop(writer);
    committed.settle(&log, 0, "silent", &verdict);

    log.append(&events(), vec![record("after")]).expect("append");
    assert_eq!(texts(&read_all(&log, &events())), ["before", "after"]);
}
