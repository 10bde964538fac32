//! What every `EventLog` must do, whatever it is built on.

use std::time::{Duration, Instant};

use tradewind_domain::Vendor;

use crate::event_log::{Appends, Bounds, EventLog, LogError, NewRecord, Offsets, ReadLimit, Record};
use crate::headers::Headers;
use crate::topic::{Topic, TopicPartition};

/// How the tests open, end and prune the log of one adapter.
pub trait EventLogHarness {
    /// The log, opened; what was appended before is there again.
    fn open(&mut self) -> Box<dyn EventLog>;

    /// Ends the process that holds the log, as far as it can be done, without
    /// letting it finish anything. The log that was opened is dropped before.
    fn crash(&mut self);

    /// Deletes the records before `offset`, as retention would. Returns where
    /// the topic starts then, which may be earlier.
    fn retain_from(&mut self, at: &TopicPartition, offset: u64) -> u64;

    /// How long after it was reported a record may take to show to readers.
    fn shows_within(&self) -> Duration {
        Duration::ZERO
    }
}

const WHOLE: ReadLimit = ReadLimit { records: 10_000, bytes: 64 << 20 };

fn events() -> TopicPartition {
    Topic::Events.partition(0)
}

fn decisions() -> TopicPartition {
    Topic::Decisions.partition(0)
}

fn commands() -> TopicPartition {
    Topic::Commands(Vendor::new("klaviyo").expect("a vendor")).partition(0)
}

fn record(text: &str) -> NewRecord {
    NewRecord {
        key: b"demo".to_vec(),
        headers: Headers::new().with("ce_id", text.as_bytes()),
        value: Some(text.as_bytes().to_vec()),
    }
}

fn texts(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| String::from_utf8(record.value.clone().expect("a value")).expect("text");
    records.iter().map(text).collect()
}

fn append(log: &dyn EventLog, at: &TopicPartition, names: &[&str]) -> Vec<u64> {
    log.append(at, names.iter().map(|name| record(name)).collect()).expect("append")
}

/// Reads to the end, in as many reads as it takes. An end with fewer records than are due is read
/// again for as long as records may take to show.
fn read_all(log: &dyn EventLog, at: &TopicPartition, from: u64, limit: ReadLimit, due: Due) -> Vec<Record> {
    let begun = Instant::now();
    let mut records = Vec::new();
    let mut next = from;
    loop {
        let batch = log.read(at, next, limit).expect("read");
        assert!(batch.next >= next, "expected to read on from {next} or later, got {}", batch.next);
        let is_end = batch.records.is_empty() && batch.next == next;
        next = batch.next;
        records.extend(batch.records);
        let left = due.within.saturating_sub(begun.elapsed());
        if is_end && (records.len() >= due.records || left.is_zero()) {
            return records;
        }
        if is_end {
            log.wait(at, next, left).expect("wait");
        }
    }
}

/// How many records are there to be read, and how long they may take to show.
#[derive(Clone, Copy)]
struct Due {
    records: usize,
    within: Duration,
}

/// What a partition holds from its start, with as many records as are expected.
fn shown(log: &dyn EventLog, at: &TopicPartition, records: usize, within: Duration) -> Vec<String> {
    texts(&read_all(log, at, 0, WHOLE, Due { records, within }))
}

fn commit(log: &dyn EventLog, writer: &str, writes: &[(TopicPartition, &str)]) {
    let mut writer = log.writer(writer).expect("a writer");
    writer.begin().expect("begin");
    for (at, text) in writes {
        writer.send(at, record(text)).expect("send");
    }
    writer.acknowledge().expect("acknowledge");
    writer.commit().expect("commit");
}

type Test = fn(&mut dyn EventLogHarness);

/// Runs every test of the contract; each gets a log of its own from `fresh`.
///
/// # Panics
///
/// The adapter breaks the contract.
pub fn check_event_log(mut fresh: impl FnMut() -> Box<dyn EventLogHarness>) {
    let tests: [(&str, Test); 14] = [
        ("records keep their order, key, headers and value", records_keep_their_order),
        ("partitions and topics are apart", partitions_are_apart),
        ("a read starts at its offset and keeps its limit", a_read_starts_at_its_offset),
        ("linked records name the places of others", linked_records_name_the_places_of_others),
        ("what was acknowledged survives a crash", what_was_acknowledged_survives_a_crash),
        ("a transaction shows on all its topics or on none", a_transaction_is_all_or_none),
        ("a transaction that was not committed is never seen", an_open_transaction_is_never_seen),
        ("an open transaction holds nobody back for ever", a_new_writer_settles_what_was_open),
        ("a second writer fences the first", a_second_writer_fences_the_first),
        ("writers of other ids are not fenced", other_writers_go_on),
        ("reading goes on over gaps in offsets", reading_goes_on_over_gaps),
        ("retention is detected, never skipped", retention_is_detected),
        ("append time never runs back", append_time_never_runs_back),
        ("waiting ends when a record comes", waiting_ends_when_a_record_comes),
    ];
    for (name, test) in tests {
        eprintln!("contract of the log: {name}");
        test(fresh().as_mut());
    }
}

fn records_keep_their_order(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    let names: Vec<String> = (0..500).map(|number| format!("fact {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut offsets = append(log.as_ref(), &events(), &names[..200]);
    offsets.extend(append(log.as_ref(), &events(), &names[200..]));
    let records = read_all(log.as_ref(), &events(), 0, WHOLE, Due { records: 500, within });
    assert_eq!(texts(&records), names);
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), offsets);
    assert!(offsets.is_sorted_by(|a, b| a < b));
    assert_eq!(records[7].key, b"demo");
    assert_eq!(records[7].headers.text("ce_id"), Some("fact 7"));

    let tombstone = NewRecord { value: None, ..record("gone") };
    let offset = log.append(&events(), vec![tombstone]).expect("append")[0];
    let records = read_all(log.as_ref(), &events(), offset, WHOLE, Due { records: 1, within });
    assert_eq!(records[0].value, None);
}

fn partitions_are_apart(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    append(log.as_ref(), &events(), &["a"]);
    append(log.as_ref(), &Topic::Events.partition(1), &["b"]);
    append(log.as_ref(), &Topic::DeadLetter.partition(0), &["c"]);
    assert_eq!(shown(log.as_ref(), &events(), 1, within), ["a"]);
    assert_eq!(shown(log.as_ref(), &Topic::Events.partition(1), 1, within), ["b"]);
    assert_eq!(shown(log.as_ref(), &Topic::DeadLetter.partition(0), 1, within), ["c"]);
    assert!(shown(log.as_ref(), &decisions(), 0, within).is_empty());
}

fn a_read_starts_at_its_offset(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    let offsets = append(log.as_ref(), &events(), &["a", "b", "c", "d"]);
    let from = |offset, limit| texts(&log.read(&events(), offset, limit).expect("read").records);
    assert_eq!(from(offsets[2], WHOLE), ["c", "d"]);
    assert_eq!(from(offsets[1], ReadLimit { records: 2, bytes: 1 << 20 }), ["b", "c"]);
    // A record larger than the limit still comes, alone.
    assert_eq!(from(offsets[0], ReadLimit { records: 10, bytes: 1 }), ["a"]);
    let bounds = log.bounds(&events()).expect("bounds");
    assert_eq!(bounds.start, offsets[0]);
    assert!(bounds.end > offsets[3]);
    let behind = log.read(&events(), bounds.end, WHOLE).expect("read");
    assert_eq!((behind.records.len(), behind.next), (0, bounds.end));
    let tiny = ReadLimit { records: 1, bytes: 1 << 20 };
    assert_eq!(texts(&read_all(log.as_ref(), &events(), 0, tiny, Due { records: 4, within })), ["a", "b", "c", "d"]);
}

fn linked_records_name_the_places_of_others(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    append(log.as_ref(), &commands(), &["before"]);
    let first = Appends::from([(commands(), vec![record("a"), record("b")]), (decisions(), vec![record("c")])]);
    let linked = |offsets: &Offsets| {
        let named = |at: &TopicPartition| offsets[at].iter().map(|offset| record(&offset.to_string()));
        Appends::from([(events(), named(&decisions()).chain(named(&commands())).collect())])
    };
    log.append_linked(first, Box::new(linked)).expect("append");
    drop(log);
    harness.crash();
    let log = harness.open();
    let offsets_of = |at: &TopicPartition, due: usize| {
        let records = read_all(log.as_ref(), at, 0, WHOLE, Due { records: due, within });
        records.iter().map(|record| record.offset.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(shown(log.as_ref(), &commands(), 3, within), ["before", "a", "b"]);
    let named = [offsets_of(&decisions(), 1), offsets_of(&commands(), 3)[1..].to_vec()].concat();
    assert_eq!(shown(log.as_ref(), &events(), 3, within), named);
}

fn what_was_acknowledged_survives_a_crash(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    for round in 0..5 {
        let log = harness.open();
        append(log.as_ref(), &events(), &[&format!("fact {round}")]);
        commit(log.as_ref(), "owner-0", &[(decisions(), &format!("decision {round}"))]);
        drop(log);
        harness.crash();
    }
    let log = harness.open();
    let expected = |word: &str| (0..5).map(|round| format!("{word} {round}")).collect::<Vec<_>>();
    assert_eq!(shown(log.as_ref(), &events(), 5, within), expected("fact"));
    assert_eq!(shown(log.as_ref(), &decisions(), 5, within), expected("decision"));
}

fn a_transaction_is_all_or_none(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    let mut writer = log.writer("owner-0").expect("a writer");
    writer.begin().expect("begin");
    writer.send(&decisions(), record("decision")).expect("send");
    writer.acknowledge().expect("acknowledge");
    writer.send(&commands(), record("command")).expect("send");
    writer.acknowledge().expect("acknowledge");
    for at in [decisions(), commands()] {
        assert!(shown(log.as_ref(), &at, 0, within).is_empty(), "{at} shows what is not committed");
    }
    writer.commit().expect("commit");
    assert_eq!(shown(log.as_ref(), &decisions(), 1, within), ["decision"]);
    assert_eq!(shown(log.as_ref(), &commands(), 1, within), ["command"]);
    writer.begin().expect("the same writer begins again");
    writer.send(&decisions(), record("second")).expect("send");
    writer.acknowledge().expect("acknowledge");
    writer.commit().expect("commit");
    assert_eq!(shown(log.as_ref(), &decisions(), 2, within), ["decision", "second"]);
}

fn an_open_transaction_is_never_seen(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    let mut writer = log.writer("owner-0").expect("a writer");
    writer.begin().expect("begin");
    writer.send(&decisions(), record("lost")).expect("send");
    writer.acknowledge().expect("acknowledge");
    drop(writer);
    drop(log);
    harness.crash();
    let log = harness.open();
    commit(log.as_ref(), "owner-0", &[(decisions(), "kept")]);
    assert_eq!(shown(log.as_ref(), &decisions(), 1, within), ["kept"]);
}

fn a_new_writer_settles_what_was_open(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    let mut first = log.writer("owner-0").expect("a writer");
    first.begin().expect("begin");
    first.send(&decisions(), record("lost")).expect("send");
    first.acknowledge().expect("acknowledge");
    let mut second = log.writer("owner-0").expect("a writer");
    second.begin().expect("begin");
    second.send(&decisions(), record("kept")).expect("send");
    second.acknowledge().expect("acknowledge");
    second.commit().expect("commit");
    assert_eq!(shown(log.as_ref(), &decisions(), 1, within), ["kept"]);
    assert!(first.commit().is_err(), "a fenced writer committed");
}

fn a_second_writer_fences_the_first(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    let mut first = log.writer("owner-0").expect("a writer");
    let _second = log.writer("owner-0").expect("a writer");
    let mut attempt = || {
        first.begin()?;
        first.send(&decisions(), record("zombie"))?;
        first.acknowledge()?;
        first.commit()
    };
    let refusal = attempt();
    assert!(matches!(refusal, Err(LogError::Fenced)), "expected the first writer to be fenced, got {refusal:?}");
    assert!(shown(log.as_ref(), &decisions(), 0, within).is_empty());
}

fn other_writers_go_on(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    let mut first = log.writer("owner-0").expect("a writer");
    let _other = log.writer("owner-1").expect("a writer");
    first.begin().expect("begin");
    first.send(&decisions(), record("kept")).expect("send");
    first.acknowledge().expect("acknowledge");
    first.commit().expect("commit");
    assert_eq!(shown(log.as_ref(), &decisions(), 1, within), ["kept"]);
}

fn reading_goes_on_over_gaps(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    for number in 0..3 {
        commit(log.as_ref(), "owner-0", &[(decisions(), &format!("kept {number}"))]);
        let mut writer = log.writer("owner-0").expect("a writer");
        writer.begin().expect("begin");
        writer.send(&decisions(), record("dropped")).expect("send");
        writer.acknowledge().expect("acknowledge");
    }
    commit(log.as_ref(), "owner-0", &[(decisions(), "last")]);
    let one_by_one = ReadLimit { records: 1, bytes: 1 << 20 };
    let records = read_all(log.as_ref(), &decisions(), 0, one_by_one, Due { records: 4, within });
    assert_eq!(texts(&records), ["kept 0", "kept 1", "kept 2", "last"]);
    let end = log.bounds(&decisions()).expect("bounds").end;
    assert!(end > records[3].offset);
    let batch = log.read(&decisions(), records[3].offset + 1, WHOLE).expect("read");
    assert!(batch.records.is_empty());
    assert_eq!(batch.next, end, "reading stopped before an end that was told");
}

fn retention_is_detected(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    let offsets = append(log.as_ref(), &commands(), &["a", "b", "c", "d"]);
    drop(log);
    let start = harness.retain_from(&commands(), offsets[2]);
    assert!(start > offsets[0], "the harness deleted nothing");
    let log = harness.open();
    let Bounds { start: known, .. } = log.bounds(&commands()).expect("bounds");
    assert_eq!(known, start);
    match log.read(&commands(), offsets[0], WHOLE) {
        Err(LogError::Lost { asked, start: from, .. }) => assert_eq!((asked, from), (offsets[0], start)),
        other => panic!("expected to be told that records are lost, got {other:?}"),
    }
    assert_eq!(texts(&read_all(log.as_ref(), &commands(), offsets[2], WHOLE, Due { records: 2, within })), ["c", "d"]);
}

fn append_time_never_runs_back(harness: &mut dyn EventLogHarness) {
    let within = harness.shows_within();
    let log = harness.open();
    for _ in 0..20 {
        append(log.as_ref(), &events(), &["a"]);
    }
    let records = read_all(log.as_ref(), &events(), 0, WHOLE, Due { records: 20, within });
    assert_eq!(records.len(), 20);
    assert!(records.is_sorted_by_key(|record| record.appended_at));
}

fn waiting_ends_when_a_record_comes(harness: &mut dyn EventLogHarness) {
    let log = harness.open();
    append(log.as_ref(), &events(), &["a"]);
    // There is a record: an hour's wait must not be waited.
    log.wait(&events(), 0, Duration::from_secs(3600)).expect("wait");
    let end = log.bounds(&events()).expect("bounds").end;
    std::thread::scope(|scope| {
        scope.spawn(|| append(log.as_ref(), &events(), &["b"]));
        // Waiting may end early; what was appended is seen in the end.
        while log.read(&events(), end, WHOLE).expect("read").records.is_empty() {
            log.wait(&events(), end, Duration::from_secs(3600)).expect("wait");
        }
    });
}
