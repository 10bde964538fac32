//! Each trap of librdkafka that the log steps over, sprung on a real broker.

use std::time::{Duration, Instant};

use tradewind_log_kafka::{Change, KafkaLog, KafkaSettings, Membership, SetupError, prepare};
use tradewind_ports::{EventLog, LogError, ReadLimit, Topic, Writer};

use crate::broker::{Broker, decisions, events, noise, read_all, record, texts, topics, vendor};

pub(crate) const WHOLE: ReadLimit = ReadLimit { records: 10_000, bytes: 64 << 20 };

type Test = fn(&Broker, &str);

#[test]
fn faults_are_told_apart() {
    let Some(broker) = Broker::start("faults") else { return };
    let tests: [(&str, Test); 13] = [
        ("a record too large for the broker is refused, and nothing is committed", too_large_for_the_broker),
        ("a record too large for the client is refused, and nothing is committed", too_large_for_the_client),
        ("a partition that isn't there ends the writer", a_partition_that_is_not_there),
        ("a zombie is fenced, however far it got", a_zombie_is_fenced),
        ("a full queue is waited out", a_full_queue_is_waited_out),
        ("one reader gets over gaps to the end that was told", gaps_are_read_over),
        ("two readers of a partition get each what it asks for", two_readers_of_a_partition),
        ("waiting ends by itself", waiting_ends_by_itself),
        ("an offset behind the end is no silence", an_offset_behind_the_end),
        ("appends of several threads keep their own order", appends_of_several_threads),
        ("a topic that is wrong is named with what mends it", wrong_topics_are_named),
        ("a cluster without replicas is for development", a_cluster_without_replicas),
        ("partitions go from member to member when released", partitions_change_hands),
    ];
    // All at once: each has topics of its own, and mostly waits.
    std::thread::scope(|scope| {
        for (number, (name, test)) in tests.into_iter().enumerate() {
            let named = std::thread::Builder::new().name(name.into());
            let broker = &broker;
            named.spawn_scoped(scope, move || test(broker, &format!("faults-{number}"))).expect("a thread");
        }
    });
}

/// Sends, then commits; what the broker says at last.
fn turn(writer: &mut dyn Writer, text: &str) -> Result<(), LogError> {
    writer.begin()?;
    writer.send(&decisions(), record(text))?;
    writer.acknowledge()?;
    writer.commit()
}

/// A writer that failed is of no more use, and its successor finds nothing of what it wrote.
fn nothing_was_written(log: &KafkaLog, mut failed: Box<dyn Writer>, id: &str) {
    assert!(failed.commit().is_err(), "a commit followed an error");
    assert!(failed.begin().is_err(), "a transaction was begun after an error");
    drop(failed);
    turn(log.writer(id).expect("a successor").as_mut(), "kept").expect("the successor's turn");
    drop(log.writer(id).expect("all is settled"));
    assert_eq!(texts(&read_all(log, &decisions())), ["kept"]);
}

fn too_large_for_the_broker(broker: &Broker, prefix: &str) {
    let settings = broker.settings(prefix);
    let commands = Topic::Commands(vendor()).partition(0);
    prepare(&settings, &[Topic::Decisions]).expect("the topic is made");
    broker.create_topic(&settings.topic_name(&commands.topic), 1, &[("max.message.bytes", "2000")]);
    let log = KafkaLog::connect(settings).expect("good settings");
    let mut writer = log.writer(prefix).expect("a writer");
    writer.begin().expect("begin");
    writer.send(&decisions(), record("lost")).expect("send");
    writer.acknowledge().expect("acknowledge");
    for value in [noise(100), noise(5_000), noise(100)] {
        writer.send(&commands, value).expect("send");
    }
    let refusal = writer.acknowledge();
    assert!(matches!(refusal, Err(LogError::Refused { .. })), "got {refusal:?}");
    nothing_was_written(&log, writer, prefix);

    let refusal = log.append(&commands, vec![noise(5_000)]);
    assert!(matches!(refusal, Err(LogError::Refused { .. })), "got {refusal:?}");
    assert_eq!(read_all(&log, &commands).len(), 0);
}

fn too_large_for_the_client(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    let mut writer = log.writer(prefix).expect("a writer");
    writer.begin().expect("begin");
    writer.send(&decisions(), record("lost")).expect("send");
    let refusal = writer.send(&decisions(), noise(2_000_000));
    assert!(matches!(refusal, Err(LogError::Refused { .. })), "got {refusal:?}");
    nothing_was_written(&log, writer, prefix);

    let refusal = log.append(&events(), vec![record("lost"), noise(2_000_000)]);
    assert!(matches!(refusal, Err(LogError::Refused { .. })), "got {refusal:?}");
    assert_eq!(read_all(&log, &events()).len(), 0);
}

fn a_partition_that_is_not_there(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    let mut writer = log.writer(prefix).expect("a writer");
    writer.begin().expect("begin");
    writer.send(&decisions(), record("lost")).expect("send");
    writer.acknowledge().expect("acknowledge");
    let nowhere = Topic::Decisions.partition(77);
    let sent = writer.send(&nowhere, record("lost")).and_then(|()| writer.acknowledge());
    assert!(matches!(sent, Err(LogError::Indefinite { .. })), "got {sent:?}");
    nothing_was_written(&log, writer, prefix);
}

fn a_zombie_is_fenced(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    // How many calls the first writer got through before the second came.
    for done in 0..4 {
        let id = format!("{prefix}/{done}");
        let mut zombie = log.writer(&id).expect("a writer");
        let mut live = None;
        let mut verdict = Ok(());
        for call in 0..4 {
            if call == done {
                live = Some(log.writer(&id).expect("a second writer"));
            }
            verdict = verdict.and_then(|()| match call {
                0 => zombie.begin(),
                1 => zombie.send(&decisions(), record("zombie")),
                2 => zombie.acknowledge(),
                _ => zombie.commit(),
            });
        }
        assert!(matches!(verdict, Err(LogError::Fenced)), "after {done} calls: got {verdict:?}");
        let again = zombie.begin();
        assert!(matches!(again, Err(LogError::Fenced)), "got {again:?}");
        turn(live.expect("a second writer").as_mut(), &format!("live {done}")).expect("the second writer's turn");
        drop(log.writer(&id).expect("all is settled"));
    }
    assert_eq!(texts(&read_all(&log, &decisions())), ["live 0", "live 1", "live 2", "live 3"]);
}

fn a_full_queue_is_waited_out(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    let limit = broker.settings(prefix).output_limit_bytes().expect("enough memory");
    let records = usize::try_from(2 * (limit + (2 << 20))).expect("a small number") / 100_000;
    let mut writer = log.writer(prefix).expect("a writer");
    writer.begin().expect("begin");
    for _ in 0..records {
        writer.send(&decisions(), noise(100_000)).expect("send");
    }
    writer.acknowledge().expect("acknowledge");
    writer.commit().expect("commit");
    drop(log.writer(prefix).expect("all is settled"));
    assert_eq!(read_all(&log, &decisions()).len(), records);
}

fn gaps_are_read_over(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    let mut expected = Vec::new();
    for number in 0..4 {
        let mut writer = log.writer(prefix).expect("a writer");
        for name in ["first", "second"] {
            turn(writer.as_mut(), &format!("{name} {number}")).expect("a turn");
            expected.push(format!("{name} {number}"));
        }
        writer.begin().expect("begin");
        writer.send(&decisions(), record("dropped")).expect("send");
        writer.acknowledge().expect("acknowledge");
    }
    // Settles the last one: behind it there are only a dropped record and markers.
    drop(log.writer(prefix).expect("a writer"));
    let end = log.bounds(&decisions()).expect("bounds").end;
    let (mut next, mut found) = (0, Vec::new());
    while next < end {
        let batch = log.read(&decisions(), next, ReadLimit { records: 1, bytes: 1 << 20 }).expect("read");
        assert!(batch.next > next, "stopped at {next}, before the end {end}");
        next = batch.next;
        found.extend(batch.records);
    }
    assert_eq!(texts(&found), expected);
    assert_eq!(next, end);
    let behind = log.read(&decisions(), end, WHOLE).expect("read");
    assert_eq!((behind.records.len(), behind.next), (0, end));
}

fn two_readers_of_a_partition(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    let names: Vec<String> = (0..20).map(|number| format!("fact {number}")).collect();
    let offsets = log.append(&events(), names.iter().map(|name| record(name)).collect()).expect("append");
    let one = ReadLimit { records: 1, bytes: 1 << 20 };
    for step in 0..10 {
        for index in [step, 19 - step] {
            let batch = log.read(&events(), offsets[index], one).expect("read");
            assert_eq!(texts(&batch.records), [names[index].clone()]);
        }
    }
}

fn waiting_ends_by_itself(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    let begun = Instant::now();
    log.wait(&events(), 0, Duration::from_millis(300)).expect("wait");
    assert!(begun.elapsed() >= Duration::from_millis(300), "nothing came, and still it ended");
    log.append(&events(), vec![record("a")]).expect("append");
    log.wait(&events(), 0, Duration::from_secs(3600)).expect("wait");
    assert_eq!(texts(&log.read(&events(), 0, WHOLE).expect("read").records), ["a"]);
}

fn an_offset_behind_the_end(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    log.append(&events(), vec![record("a")]).expect("append");
    let deadline = Instant::now() + Duration::from_secs(30);
    // The broker's refusal comes with the first answer to a fetch, so an early read may find nothing.
    let refusal = loop {
        match log.read(&events(), 1_000, WHOLE) {
            Ok(batch) if batch.records.is_empty() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            refusal => break refusal,
        }
    };
    let Err(LogError::Damaged { at, remedy }) = refusal else { panic!("got {refusal:?}") };
    assert_eq!(at, "tradewind.events[0]");
    assert!(remedy.contains("it ends at 1, before offset 1000"), "{remedy}");
    assert_eq!(texts(&read_all(&log, &events())), ["a"]);
}

fn appends_of_several_threads(broker: &Broker, prefix: &str) {
    let log = broker.log(prefix);
    let append = |name: &str| {
        let batch = |number: usize| (0..5).map(|index| record(&format!("{name} {number} {index}"))).collect();
        (0..20).flat_map(|number| log.append(&events(), batch(number)).expect("append")).collect::<Vec<u64>>()
    };
    let offsets: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let threads = ["a", "b", "c", "d"].map(|name| scope.spawn(move || append(name)));
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    });
    let records = read_all(&log, &events());
    assert_eq!(records.len(), 400);
    for (name, offsets) in ["a", "b", "c", "d"].iter().zip(offsets) {
        let own: Vec<_> = records.iter().filter(|record| offsets.contains(&record.offset)).cloned().collect();
        let expected: Vec<String> =
            (0..20).flat_map(|number| (0..5).map(move |index| format!("{name} {number} {index}"))).collect();
        assert_eq!(texts(&own), expected);
        assert!(offsets.is_sorted_by(|a, b| a < b));
    }
}

fn wrong_topics_are_named(broker: &Broker, prefix: &str) {
    let settings = broker.settings(prefix);
    let made = prepare(&settings, &topics()).expect("topics are made");
    assert_eq!(made.created.len(), topics().len());
    assert_eq!(prepare(&settings, &topics()).expect("topics are as made").created, Vec::<String>::new());

    let wrong = KafkaSettings { topic_prefix: format!("{prefix}-wrong."), ..settings.clone() };
    let [events, keys] = [Topic::Events, Topic::Keys].map(|topic| wrong.topic_name(&topic));
    broker.create_topic(&events, 2, &[("retention.ms", "1000")]);
    let larger = KafkaSettings { partitions: 3, ..wrong.clone() };
    let refusal = prepare(&larger, &[Topic::Events]).expect_err("the topic is wrong").to_string();
    let address = &broker.address;
    for expected in [
        format!(
            "topic {events}: partitions is 2, expected 3\n  fix: kafka-topics.sh --bootstrap-server {address} --alter --topic {events} --partitions 3"
        ),
        format!(
            "topic {events}: retention.ms is 1000, expected -1\n  fix: kafka-configs.sh --bootstrap-server {address} --alter --entity-type topics --entity-name {events} --add-config retention.ms=-1"
        ),
        format!("topic {events}: message.timestamp.type is CreateTime, expected LogAppendTime\n"),
    ] {
        assert!(refusal.contains(&expected), "expected\n{expected}\nin\n{refusal}");
    }
    let smaller = KafkaSettings { partitions: 1, ..settings.clone() };
    let refusal = prepare(&smaller, &[Topic::Decisions]).expect_err("there are too many").to_string();
    assert!(refusal.contains("partitions is 2, expected 1\n  fix: set partitions to 2"), "{refusal}");

    // An erased key is off the disks within hours, and stays long enough as a tombstone for all to see.
    prepare(&settings, &[Topic::Keys]).expect("the topic is made");
    prepare(&settings, &[Topic::Keys]).expect("the topic is as made");
    broker.create_topic(&keys, 1, &[("delete.retention.ms", "1000")]);
    let Err(SetupError::Cluster(mismatches)) = prepare(&wrong, &[Topic::Keys]) else { panic!("it was taken") };
    let found: Vec<&str> = mismatches.iter().map(|mismatch| mismatch.setting.as_str()).collect();
    assert_eq!(
        found,
        ["message.timestamp.type", "cleanup.policy", "max.compaction.lag.ms", "segment.ms", "delete.retention.ms"]
    );
}

fn a_cluster_without_replicas(broker: &Broker, prefix: &str) {
    let development = broker.settings(prefix);
    let production = KafkaSettings { is_dev: false, ..development.clone() };
    let refusal = prepare(&production, &[Topic::Events]).expect_err("one broker is too few").to_string();
    assert!(refusal.contains("which has 1 of at least 3"), "{refusal}");
    // Named as whoever configures it knows it.
    assert!(refusal.contains("for development set dev = true in [kafka]"), "{refusal}");
    prepare(&development, &[Topic::Events]).expect("one broker will do");
    let Err(SetupError::Cluster(mismatches)) = prepare(&production, &[Topic::Events]) else { panic!("it was taken") };
    let found: Vec<(&str, &str)> = mismatches.iter().map(|m| (m.setting.as_str(), m.found.as_str())).collect();
    // The broker verifies transactions, and its settings can be read: nothing of that is named.
    assert_eq!(found, [("replication factor", "1"), ("min.insync.replicas", "1")]);
}

fn partitions_change_hands(broker: &Broker, prefix: &str) {
    let settings = KafkaSettings { partitions: 4, ..broker.settings(prefix) };
    prepare(&settings, &[Topic::Owners]).expect("the topic is made");
    let mut first = Membership::join(&settings, "orchestrator", "member-1").expect("a member");
    let mut owned = Vec::new();
    until("the only member owns all", || {
        owned.extend(first.poll(Duration::from_millis(100)).expect("poll"));
        owned.len() == 4
    });
    assert_eq!(owned, [0, 1, 2, 3].map(Change::Assigned));

    let mut second = Membership::join(&settings, "orchestrator", "member-2").expect("a member");
    let (mut given, mut taken) = (Vec::new(), Vec::new());
    until("the first member is asked for half", || {
        given.extend(first.poll(Duration::from_millis(100)).expect("poll"));
        taken.extend(second.poll(Duration::from_millis(100)).expect("poll"));
        given.len() == 2
    });
    // For as long as the first has not let go, the second has nothing.
    for _ in 0..20 {
        assert_eq!(first.poll(Duration::from_millis(50)).expect("poll"), []);
        taken.extend(second.poll(Duration::from_millis(50)).expect("poll"));
    }
    assert_eq!(taken, []);
    let revoked: Vec<u32> = given
        .iter()
        .map(|change| match change {
            Change::Revoked(partition) => *partition,
            Change::Assigned(partition) => panic!("{partition} was assigned twice"),
        })
        .collect();
    for partition in &revoked {
        first.release(*partition).expect("release");
    }
    until("the second member owns what was released", || {
        assert_eq!(first.poll(Duration::from_millis(100)).expect("poll"), []);
        taken.extend(second.poll(Duration::from_millis(100)).expect("poll"));
        taken.len() == 2
    });
    let expected: Vec<Change> = revoked.into_iter().map(Change::Assigned).collect();
    assert_eq!(taken, expected);

    // Another process under the same name ends this one.
    let mut twin = Membership::join(&settings, "orchestrator", "member-2").expect("a member");
    until("the twin's predecessor is fenced", || {
        let _ = twin.poll(Duration::from_millis(100));
        matches!(second.poll(Duration::from_millis(100)), Err(LogError::Fenced))
    });
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
    }
}
