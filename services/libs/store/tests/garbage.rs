//! All stores of a process share sled's garbage, so this one needs its own.

use std::sync::mpsc;

use tradewind_domain::Position;
use tradewind_ports::{StateStore, StoreError, Stored, Write};
use tradewind_store::{Opening, Settings};

/// As that of a damaged store may. At worst the store that collects it counts as
/// damaged, too; its owner goes on.
#[test]
fn garbage_that_panics_ends_no_owner() {
    let dir = tempfile::tempdir().expect("a directory");
    let opening = Opening { dir: dir.path().into(), settings: Settings::new(1, 64 << 20) };
    let mut store = opening.open().expect("a store that opens").store;
    let (collected, is_collected) = mpsc::channel();
    crossbeam_epoch::pin().defer(move || {
        let _ = collected.send(());
        panic!("freed twice");
    });
    let stored = Stored { position: Position::fold(1), bytes: b"a leaf".to_vec() };
    while is_collected.try_recv().is_err() {
        let write =
            Write { key: b"a".to_vec(), value: Some(stored.clone()), due_removed: Vec::new(), due_added: Vec::new() };
        match store.write(&[write]) {
            Ok(()) => {}
            Err(StoreError::Damaged { reason }) => assert_eq!(reason, "sled panicked: freed twice"),
            Err(StoreError::Unavailable { reason }) => panic!("{reason}"),
        }
    }
}
