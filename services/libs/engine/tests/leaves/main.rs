//! The golden changes: what every kind of fact, folded, and every transition,
//! applied, change in the leaves. It holds the layout of leaves and the meaning
//! of facts and transitions to the version of the fold.

#![forbid(unsafe_code)]

mod facts;
mod transitions;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tradewind_domain::{Body, Name, Timestamp, derive};
use tradewind_engine::{Budget, Drained, FOLD_VERSION, Partition, Rules};
use tradewind_ports::{Checkpoint, DueKey, StateStore, StoreError, Stored, Write};

/// Of the version that `FOLD_VERSION` names.
const GOLDEN: &str = include_str!("golden.txt");

/// What was written to the store since it was last asked, a line for each value:
/// its key, how many bytes it has, and the first of their hash.
#[derive(Clone, Debug, Default)]
struct Written(Arc<Mutex<BTreeSet<String>>>);

impl Written {
    fn line(&self, key: &[u8], bytes: &[u8]) {
        let hash: String = derive("leaf", &[bytes]).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.0.lock().unwrap().insert(format!("  {} {} {hash}\n", key.escape_ascii(), bytes.len()));
    }
}

impl StateStore for Written {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(None)
    }

    // Everything stays in the cache.
    fn get(&self, _: &[u8]) -> Result<Option<Stored>, StoreError> {
        Ok(None)
    }

    fn due(&self, _: Timestamp, _: Option<&DueKey>, _: usize) -> Result<Vec<DueKey>, StoreError> {
        Ok(Vec::new())
    }

    fn write(&mut self, slice: &[Write]) -> Result<(), StoreError> {
        for write in slice {
            self.line(&write.key, write.value.as_ref().map_or(b"removed", |stored| &stored.bytes));
            for due in &write.due_added {
                let at = [&due.fires_at.millis().to_be_bytes()[..], &due.round.to_be_bytes(), &due.wakeup].concat();
                self.line(&[b"due/", due.leaf.as_slice()].concat(), &at);
            }
        }
        Ok(())
    }

    /// What belongs to the partition: clock, sources, watermark.
    fn set_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.line(b"partition", &checkpoint.partition);
        Ok(())
    }
}

/// What each fact and each decision changes, one after the other.
fn changes() -> String {
    let written = Written::default();
    let budget = Budget { cache_leaves: 1_000, slice_leaves: 100 };
    let rules = Arc::new(Rules::shipped());
    let mut partition = Partition::open(rules, Name::fixed("test"), Box::new(written.clone()), budget).unwrap();
    let mut changes = format!("fold version {FOLD_VERSION}\n");
    let mut note = |what: &str, partition: &mut Partition| {
        partition.absorb();
        partition.begin_drain(0);
        while partition.drain_slice().unwrap() == Drained::Slice {}
        changes.push_str(what);
        changes.push('\n');
        changes.extend(std::mem::take(&mut *written.0.lock().unwrap()));
    };
    for (offset, body) in (0..).zip(facts::bodies()) {
        let kind = body.kind();
        // By then there is somebody to reserve a place for, and an outcome follows.
        let is_decided_on = matches!(body, Body::TicketUpdated(_));
        partition.refold(&facts::envelope(offset, body), None).unwrap();
        note(kind, &mut partition);
        if is_decided_on {
            for (what, position, decision) in transitions::decisions(offset) {
                partition.reapply(position, &decision).unwrap();
                note(what, &mut partition);
            }
        }
        partition.resume_at(partition.position().next_record());
    }
    changes
}

#[test]
fn every_fact_and_transition_of_this_version_makes_these_changes() {
    let changes = changes();
    let (mut expected, mut got) = (GOLDEN.lines(), changes.lines());
    let mut last_title = "";
    let differs_at = loop {
        match (expected.next(), got.next()) {
            (None, None) => return,
            (expected, got) if expected != got => break format!("expected {expected:?}\n     got {got:?}"),
            (_, Some(line)) if !line.starts_with(' ') => last_title = line,
            _ => {}
        }
    };
    panic!(
        "leaves have another layout, or a fact or transition another meaning, than in fold version {FOLD_VERSION}.\n\
         If you did not mean that, undo it: stores and recorded decisions are read by the old meaning.\n\
         If you did, raise FOLD_VERSION in src/rules.rs first, so that stores are rebuilt, and then make\n\
         tests/leaves/golden.txt what stands below. A new kind of fact or transition that leaves all others as\n\
         they were needs no new version, only its lines.\n\n\
         It differs first at {last_title}:\n{differs_at}\n\nAll of it:\n{changes}"
    );
}
