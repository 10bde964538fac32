//! All stores of a process share sled's garbage, and what is found damaged while it
//! is collected panics in whoever collects. So these tests have a process of their own.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tradewind_domain::Position;
use tradewind_ports::{StateStore, StoreError, Stored, Write};
use tradewind_store::{Opening, Rebuilt, Settings, Store};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn opening() -> (TempDir, Opening) {
    let dir = tempfile::tempdir().expect("a directory");
    let opening = Opening { dir: dir.path().into(), settings: Settings::new(1, 64 << 20) };
    (dir, opening)
}

fn stored() -> Stored {
    Stored { position: Position::fold(1), bytes: b"a leaf".to_vec() }
}

fn write(store: &mut Store) -> Result<(), StoreError> {
    store.write(&[Write { key: b"a".to_vec(), value: Some(stored()), due_removed: Vec::new(), due_added: Vec::new() }])
}

/// Garbage that panics. Tells the name of the thread that collects it.
fn litter() -> Receiver<String> {
    let (collected, collected_by) = channel();
    let garbage = crossbeam_epoch::pin();
    garbage.defer(move || {
        let _ = collected.send(thread::current().name().unwrap_or_default().to_owned());
        panic!("freed twice");
    });
    garbage.flush();
    collected_by
}

/// At worst the store that collects it counts as damaged, too; its owner goes on.
#[test]
fn garbage_that_panics_ends_no_owner() {
    let _alone = alone();
    let (_dir, opening) = opening();
    let mut store = opening.open().expect("a store that opens").store;
    let collected = litter();
    while collected.try_recv().is_err() {
        match write(&mut store) {
            Ok(()) => {}
            Err(StoreError::Damaged { reason }) => assert_eq!(reason, "sled panicked: freed twice"),
            Err(StoreError::Unavailable { reason }) => panic!("{reason}"),
        }
    }
}

/// sled waits without end for it, and keeps its file. Nobody else may have to.
#[test]
fn a_store_whose_flusher_died_gives_its_place_back() {
    let _alone = alone();
    let (dir, opening) = opening();
    let mut store = opening.open().expect("a store that opens").store;
    write(&mut store).expect("a written slice");
    while litter().recv_timeout(Duration::from_secs(20)).expect("collected") != "log flusher" {}
    drop(store);

    let opened = opening.open().expect("a store that opens");
    let Rebuilt { moved_to, reason } = opened.rebuilt.expect("announced");
    assert_eq!(moved_to, Some(dir.path().join("fold-1.damaged-1")));
    assert!(reason.starts_with("it was never closed: could not acquire lock"), "{reason}");
    let mut store = opened.store;
    write(&mut store).expect("a written slice");
    drop(store);
    let opened = opening.open().expect("a store that opens");
    assert_eq!((opened.rebuilt, opened.store.get(b"a").expect("a readable leaf")), (None, Some(stored())));
}
