//! The power fails, and the disk gets into trouble, amid commits.

use std::collections::BTreeSet;

use tempfile::TempDir;
use tradewind_log_embedded::{EmbeddedLog, OpenError, Options};
use tradewind_ports::LogError;

use crate::child::{self, Process};
use crate::forgetful_disk::{self, Disk, Trouble, Unsynced};
use crate::work::{self, Dice, PARTITIONS};

/// How the power fails: between two calls, or as a sync begins.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Anywhere(Unsynced),
    AtSync(Unsynced),
}

const CUTS: [Cut; 4] = [
    Cut::Anywhere(Unsynced::Lost),
    Cut::Anywhere(Unsynced::ByCoin),
    Cut::AtSync(Unsynced::Lost),
    Cut::AtSync(Unsynced::ByCoin),
];

const ROUNDS: u64 = 10;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_refused_when_the_power_fails() {
    if !forgetful_disk::is_available() {
        return;
    }
    let (mut acknowledged, mut found, mut torn) = (0, 0, 0);
    for round in 0..ROUNDS {
        for (index, cut) in CUTS.into_iter().enumerate() {
            let seed = round * 16 + index as u64 + 1;
            eprintln!("power failure {cut:?}, seed {seed}");
            let (acknowledged_here, found_here, has_torn) = fail_power(cut, seed);
            acknowledged += acknowledged_here;
            found += found_here;
            torn += u64::from(has_torn);
        }
    }
    let cuts = ROUNDS * CUTS.len() as u64;
    eprintln!("{cuts} cuts: {acknowledged} acknowledged, {found} found, 0 lost, 0 refused, {torn} torn tails cut");
}

/// Returns how many transactions were acknowledged, and how many were found.
fn fail_power(cut: Cut, seed: u64) -> (usize, usize, bool) {
    let (mounted, left) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    let disk = Disk::new(seed);
    // This process opens nothing on it: it must be free to answer.
    let session = disk.mount(mounted.path()).expect("a mounted disk");
    let mut dice = Dice(seed);
    let mut process = Process::start("write", mounted.path(), 0);
    let mut acknowledged = BTreeSet::new();
    let mut left_to_hear = i64::try_from(dice.roll(80)).expect("a small number");
    // Sometimes before the log is whole.
    let is_early = seed.is_multiple_of(8);
    if is_early && let Cut::AtSync(unsynced) = cut {
        disk.set_trouble(Some(Trouble::PowerFailsAtSync(unsynced)));
    }
    while let Some(said) = process.hear() {
        if let Some(id) = said.strip_prefix("acknowledged ") {
            acknowledged.insert(id.parse().expect("an id"));
        } else {
            assert!(said == "open" || !disk.has_power(), "{said}");
        }
        match cut {
            Cut::Anywhere(unsynced) if left_to_hear == 0 => disk.cut_power(unsynced),
            Cut::AtSync(unsynced) if left_to_hear == 0 => disk.set_trouble(Some(Trouble::PowerFailsAtSync(unsynced))),
            Cut::Anywhere(_) | Cut::AtSync(_) => {}
        }
        left_to_hear -= 1;
        // It may be ahead of us by as many lines of 15 bytes as a pipe of 64 KiB and our buffer hold.
        assert!(left_to_hear > -5_000, "the log does not sync");
    }
    drop(process);
    drop(session);
    disk.copy_to(left.path());

    assert!(acknowledged.is_empty() || left.path().join("durable").exists(), "the mark's name was not durable");
    // Twice: as it lies there, and after the next writer has opened it.
    match EmbeddedLog::open_reader(left.path()) {
        Ok(reader) => work::find(&reader).expect("read").check(&acknowledged),
        // The lock's name was never synced, or the log never finished.
        Err(OpenError::Unfit { .. } | OpenError::Log(LogError::Damaged { .. })) if acknowledged.is_empty() => {}
        Err(error) => panic!("{error}"),
    }
    let log = EmbeddedLog::open(left.path(), Options::new(PARTITIONS)).expect("open");
    let found = work::find(&log).expect("read");
    found.check(&acknowledged);
    child::commit(&log, 9, work::id(9, 0)).expect("commit");
    acknowledged.insert(work::id(9, 0));
    work::find(&log).expect("read").check(&acknowledged);
    (acknowledged.len() - 1, found.transactions(), log.cut_bytes() > 0)
}

#[test]
fn a_disk_that_fails_or_is_full_costs_nothing_that_was_acknowledged() {
    if !forgetful_disk::is_available() {
        return;
    }
    let mounted = TempDir::new().expect("a directory");
    let disk = Disk::new(1);
    let _session = disk.mount(mounted.path()).expect("a mounted disk");
    let mut process = Process::start("obey", mounted.path(), 0);
    // Opening the log again needs a sync, but no room; the commit needs room too.
    let troubles =
        [(Trouble::SyncFails, "unavailable"), (Trouble::Full, "indefinite"), (Trouble::SyncFails, "unavailable")];
    for (trouble, expected) in troubles {
        for _ in 0..3 {
            assert_eq!(process.ask("prepare"), "prepared");
            assert_eq!(process.ask("commit"), "committed");
        }
        assert_eq!(process.ask("prepare"), "prepared");
        disk.set_trouble(Some(trouble));
        assert_eq!(process.ask("commit"), "indefinite", "{trouble:?}");
        assert_eq!(process.ask("prepare"), expected, "{trouble:?}");
        // Readers go on.
        assert_eq!(process.ask("check"), "checked");
        disk.set_trouble(None);
    }
    for (order, answer) in [
        ("prepare", "prepared"),
        ("commit", "committed"),
        ("check", "checked"),
        ("reopen", "reopened"),
        ("check", "checked"),
    ] {
        assert_eq!(process.ask(order), answer);
    }
}
