//! The process that writes is killed, again and again.

use std::collections::BTreeSet;

use tempfile::TempDir;
use tradewind_log_embedded::{EmbeddedLog, Options};

use crate::child::Process;
use crate::work::{self, Dice, PARTITIONS};

const KILLS: u64 = 24;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_torn_when_the_process_is_killed() {
    const SEED: u64 = 0x5eed;
    let directory = TempDir::new().expect("a directory");
    let mut dice = Dice(SEED);
    let mut acknowledged = BTreeSet::new();
    for life in 0..KILLS {
        let mut process = Process::start("write", directory.path(), life);
        assert_eq!(process.hear().as_deref(), Some("open"), "life {life} of seed {SEED}");
        let mut left = dice.roll(60);
        while let Some(said) = process.hear() {
            let id = said.strip_prefix("acknowledged ").unwrap_or_else(|| panic!("life {life}: {said}"));
            acknowledged.insert(id.parse().expect("an id"));
            if left == 0 {
                process.kill();
            }
            left = left.saturating_sub(1);
        }
        drop(process);
        // As it lies there; the next life opens it for writing.
        let reader = EmbeddedLog::open_reader(directory.path()).expect("open");
        work::find(&reader).expect("read").check(&acknowledged);
    }
    let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
    let found = work::find(&log).expect("read");
    found.check(&acknowledged);
    eprintln!("{KILLS} kills: {} acknowledged, {} found, 0 lost, 0 torn", acknowledged.len(), found.transactions());
}
