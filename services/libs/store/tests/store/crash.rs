//! A process that drains is killed, again and again: what it leaves opens without
//! alarm, holds whole slices in their order, and has no position ahead of a value.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tradewind_domain::Position;
use tradewind_ports::{DueKey, StateStore, Stored, Write};
use tradewind_store::{Opening, Store};

use crate::common;

const KEYS: u64 = 3_000;
const PER_GENERATION: u64 = 1_000;
const PER_SLICE: u64 = 50;

/// Where the child finds its store, and after how many slices it stops and waits.
const DIR: &str = "TRADEWIND_STORE_TEST_DIR";
const HOLD: &str = "TRADEWIND_STORE_TEST_HOLD";

/// Every generation writes a third of the keys, one after the other.
fn key_number(generation: u64, place: u64) -> u64 {
    (generation * PER_GENERATION + place) % KEYS
}

fn key(number: u64) -> Vec<u8> {
    format!("shop/cart/{:08x}", number.wrapping_mul(0x9e37_79b9) % 0xffff_fff1).into_bytes()
}

/// What a generation leaves of a key: every thirteenth leaf it removes.
fn value(number: u64, generation: u64) -> Option<Stored> {
    let mut rng = fastrand::Rng::with_seed(number << 32 | generation);
    (!(number + generation).is_multiple_of(13)).then(|| common::leaf(&mut rng, generation))
}

fn due_of(number: u64, stored: &Stored) -> DueKey {
    common::due_key(i64::try_from(stored.position.offset * 10_000 + number).expect("a small number"), &key(number))
}

fn generation(store: &Store) -> u64 {
    store.checkpoint().expect("a readable position").map_or(0, |checkpoint| checkpoint.position.offset)
}

/// What the key holds once `generation` is drained.
fn after(number: u64, generation: u64) -> Option<Stored> {
    let slots = KEYS / PER_GENERATION;
    let writes = |generation: u64| generation % slots == number / PER_GENERATION;
    let last = (1..=generation).rev().take(usize::try_from(slots).expect("few")).find(|at| writes(*at))?;
    value(number, last)
}

/// The child. Run by itself it does nothing.
#[test]
#[ignore = "a child process of the tests beside it"]
fn drains_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let hold: u64 = std::env::var(HOLD).expect("a number of slices").parse().expect("a number of slices");
    let mut store = common::open(&common::opening(Path::new(&dir)));
    let mut slices = 0;
    say("opened");
    for generation in generation(&store) + 1.. {
        for slice in 0..PER_GENERATION / PER_SLICE {
            let places = slice * PER_SLICE..(slice + 1) * PER_SLICE;
            let writes: Vec<Write> =
                places.map(|place| write(&store, key_number(generation, place), generation)).collect();
            store.write(&writes).expect("a written slice");
            slices += 1;
            say("slice");
            if slices == hold {
                say("held");
                let _ = std::io::stdin().read(&mut [0]);
            }
        }
        store.set_checkpoint(&common::checkpoint(generation)).expect("a checkpoint");
        say(&format!("checkpoint {generation}"));
    }
}

fn write(store: &Store, number: u64, generation: u64) -> Write {
    let key = key(number);
    let due_removed = store.get(&key).expect("a readable leaf").iter().map(|stored| due_of(number, stored)).collect();
    let value = value(number, generation);
    let due_added = value.iter().map(|stored| due_of(number, stored)).collect();
    Write { key, value, due_removed, due_added }
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("a parent that listens");
}

fn start(dir: &Path, hold: u64) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "crash::drains_until_it_is_killed", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(HOLD, hold.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child");
    let out = BufReader::new(child.stdout.take().expect("the child's output"));
    (child, out)
}

/// Lets the child speak until it says `last` for the `times`th time, then kills
/// it. Returns the last checkpoint it claimed.
fn kill_after(child: &mut Child, out: BufReader<ChildStdout>, last: &str, times: u64, wait: Duration) -> u64 {
    let (mut claimed, mut said) = (0, 0);
    for line in out.lines() {
        let line = line.expect("a line of the child");
        said += u64::from(line == last);
        claimed = line.strip_prefix("checkpoint ").map_or(claimed, |number| number.parse().expect("a number"));
        if said == times {
            break;
        }
    }
    assert_eq!(said, times, "the child ended by itself");
    std::thread::sleep(wait);
    child.kill().expect("a child to kill");
    child.wait().expect("a dead child");
    claimed
}

/// What is there after a kill: `position` with all its values, and whole slices
/// of the next generation, the first ones. Returns how many.
fn check(opening: &Opening, claimed: u64) -> u64 {
    let store = common::open(opening);
    let position = generation(&store);
    assert!(position >= claimed, "the child was told that {claimed} is kept, got {position}");
    let mut due = BTreeSet::new();
    let mut is_ahead = [false; (PER_GENERATION / PER_SLICE) as usize];
    for number in 0..KEYS {
        let stored = store.get(&key(number)).expect("a readable leaf");
        let (now, next) = (after(number, position), after(number, position + 1));
        assert!(stored == now || stored == next, "key {number} at generation {position} holds {stored:?}");
        due.extend(stored.iter().map(|stored| due_of(number, stored)));
        let place = (0..PER_GENERATION).find(|place| key_number(position + 1, *place) == number);
        if let Some(place) = place.filter(|_| now != next) {
            let slice = usize::try_from(place / PER_SLICE).expect("few");
            let is_first = place % PER_SLICE == 0 || !touched(position, place);
            assert!(is_first || is_ahead[slice] == (stored == next), "slice {slice} is there in part");
            is_ahead[slice] = stored == next;
        }
    }
    assert!(is_ahead.is_sorted_by(|a, b| a >= b), "slices are there out of order: {is_ahead:?}");
    assert!(common::all_due(&store).into_iter().eq(due), "the due-time index fits the leaves");
    is_ahead.iter().filter(|is_ahead| **is_ahead).count() as u64
}

/// Some place before `place` in its slice tells whether the slice is there.
fn touched(position: u64, place: u64) -> bool {
    let from = place - place % PER_SLICE;
    (from..place).any(|place| {
        let number = key_number(position + 1, place);
        after(number, position) != after(number, position + 1)
    })
}

#[test]
fn killed_in_a_drain_it_opens_without_alarm_and_nothing_is_behind_the_position() {
    let dir = tempfile::tempdir().expect("a directory");
    let opening = common::opening(dir.path());
    let mut rng = fastrand::Rng::with_seed(20);
    let (mut kills, mut amid_drain) = (0, 0);
    for _ in 0..16 {
        let (mut child, out) = start(dir.path(), 0);
        let claimed = kill_after(&mut child, out, "slice", rng.u64(1..70), Duration::ZERO);
        let ahead = check(&opening, claimed);
        kills += 1;
        amid_drain += u64::from(ahead > 0);
    }
    // Between two slices, while nothing is written: right away, and after sled's
    // flusher, which runs every 500 ms, has had time to bring each to the disk.
    for (hold, wait_ms) in [(1, 0), (7, 0), (19, 0), (20, 0), (1, 900), (7, 900), (19, 900), (33, 900)] {
        let (mut child, out) = start(dir.path(), hold);
        let claimed = kill_after(&mut child, out, "held", 1, Duration::from_millis(wait_ms));
        let ahead = check(&opening, claimed);
        kills += 1;
        amid_drain += u64::from(ahead > 0);
    }
    assert_eq!(kills, 24);
    assert!(amid_drain >= 8, "expected kills amid a drain, got {amid_drain}");
}

#[test]
fn a_second_process_builds_another_fold_version_beside() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut other = common::opening(dir.path());
    other.settings.fold_version = 2;
    let mut mine = common::open(&other);
    let (mut child, out) = start(dir.path(), 25);
    let mut lines = out.lines().map(|line| line.expect("a line of the child"));
    assert!(lines.any(|line| line == "opened"));
    // Its store is its own: it is not touched, let alone moved aside.
    let refused = common::opening(dir.path()).open().expect_err("the child has it open");
    assert!(matches!(refused, tradewind_ports::StoreError::Unavailable { .. }), "got {refused:?}");
    let refused = common::opening(dir.path()).move_aside("a mistake").expect_err("the child has it open");
    assert!(matches!(refused, tradewind_ports::StoreError::Unavailable { .. }), "got {refused:?}");
    let stored = Stored { position: Position::fold(1), bytes: b"of the second version".to_vec() };
    mine.write(&[common::write(&key(1), stored.clone())]).expect("a written slice");
    mine.set_checkpoint(&common::checkpoint(1)).expect("a checkpoint");
    assert!(lines.any(|line| line == "held"));
    drop(child.stdin.take());
    assert!(lines.any(|line| line == "checkpoint 2"));
    child.kill().expect("a child to kill");
    child.wait().expect("a dead child");
    drop(mine);
    let mine = common::open(&other);
    assert_eq!(mine.get(&key(1)).expect("a readable leaf"), Some(stored));
    check(&common::opening(dir.path()), 2);
}
