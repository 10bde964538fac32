//! Damaged in any way, a store is moved aside and an empty one opened in its
//! place, and the caller is told; or it holds every value of one slice, the last or
//! an earlier one, and no position beyond it, as after a crash. Nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::Path;

use tempfile::TempDir;
use tradewind_domain::Timestamp;
use tradewind_ports::{DueKey, StateStore, StoreError, Stored, Write};
use tradewind_store::{Opening, Rebuilt, Store};

use crate::common;

/// What a store must hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Contents {
    leaves: BTreeMap<Vec<u8>, Stored>,
    due: Vec<DueKey>,
}

/// A store at rest, and what was in it after each slice.
struct Template {
    dir: TempDir,
    history: Vec<Contents>,
}

const KEYS: u64 = 2_000;
const SLICES_PER_GENERATION: u64 = 6;

/// What became of a store.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    Whole,
    Earlier,
    Rebuilt(Rebuilt),
}

/// Leaves rewritten and removed many times, with their due times. sled writes a
/// snapshot when it opens; what is behind it, and what is replayed from its log,
/// fare differently. So the store has so many lives.
fn template(lives: u64) -> Template {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rng = fastrand::Rng::with_seed(lives);
    let mut history = vec![Contents::default()];
    let mut contents = Contents::default();
    for life in 0..lives {
        let mut store = common::open(&common::opening(dir.path()));
        for generation in life * 6 + 1..life * 6 + 7 {
            for _ in 0..SLICES_PER_GENERATION {
                let slice: Vec<Write> = (0..250).map(|_| change(&mut rng, &mut contents, generation)).collect();
                store.write(&slice).expect("a written slice");
                contents.due = contents.leaves.iter().map(|(key, stored)| due_of(key, stored)).collect();
                contents.due.sort();
                history.push(contents.clone());
            }
            store.set_checkpoint(&common::checkpoint(generation)).expect("a checkpoint");
        }
    }
    Template { dir, history }
}

fn key(number: u64) -> Vec<u8> {
    format!("shop/cart/{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

fn change(rng: &mut fastrand::Rng, contents: &mut Contents, generation: u64) -> Write {
    let key = key(rng.u64(0..KEYS));
    let due_removed = contents.leaves.get(&key).iter().map(|stored| due_of(&key, stored)).collect();
    let value = (rng.u32(0..10) > 0).then(|| common::leaf(rng, generation));
    let due_added = value.iter().map(|stored| due_of(&key, stored)).collect();
    match &value {
        Some(stored) => contents.leaves.insert(key.clone(), stored.clone()),
        None => contents.leaves.remove(&key),
    };
    Write { key, value, due_removed, due_added }
}

fn due_of(key: &[u8], stored: &Stored) -> DueKey {
    common::due_key(i64::try_from(stored.position.offset).expect("small") * 1_000 + i64::from(key[12]), key)
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    /// One bit, so many thousandths into the file.
    Flipped(u64),
    /// Four KiB of it.
    Zeroed(u64),
    /// Everything behind.
    Cut(u64),
    AllZero,
    Deleted,
}

fn damage(path: &Path, damage: Damage) {
    let open = || OpenOptions::new().read(true).write(true).open(path).expect("a file to damage");
    let length = fs::metadata(path).expect("a file to damage").len();
    let overwrite = |file: &mut File, at: u64, bytes: &[u8]| {
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes)).expect("a damaged file");
    };
    match damage {
        Damage::None => {}
        Damage::Flipped(thousandths) => {
            let mut file = open();
            let at = length * thousandths / 1_000;
            let mut byte = [0];
            file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut byte)).expect("a byte to flip");
            overwrite(&mut file, at, &[byte[0] ^ 1 << (at % 8)]);
        }
        Damage::Zeroed(thousandths) => {
            let at = length * thousandths / 1_000;
            overwrite(&mut open(), at, &vec![0; usize::try_from((length - at).min(4_096)).expect("small")]);
        }
        Damage::Cut(thousandths) => open().set_len(length * thousandths / 1_000).expect("a file cut short"),
        Damage::AllZero => overwrite(&mut open(), 0, &vec![0; usize::try_from(length).expect("small")]),
        Damage::Deleted => fs::remove_file(path).expect("a file to delete"),
    }
}

fn contents(store: &Store) -> Result<Contents, StoreError> {
    let leaf = |key: Vec<u8>| Ok(store.get(&key)?.map(|stored| (key, stored)));
    let leaves = (0..KEYS).map(key).filter_map(|key| leaf(key).transpose()).collect::<Result<BTreeMap<_, _>, _>>()?;
    let due = store.due(Timestamp::MAX, None, usize::MAX)?;
    assert_eq!(store.sizes()?.leaves, leaves.len() as u64);
    Ok(Contents { leaves, due })
}

/// A store that opened holds one slice's values, and no position beyond it; or says
/// that it does not.
fn check_kept(template: &Template, store: &Store, what: &str) -> Result<Fate, StoreError> {
    let contents = contents(store)?;
    let slice = template.history.iter().rposition(|then| *then == contents);
    let slice = slice.unwrap_or_else(|| panic!("silent: {what}")) as u64;
    let position = store.checkpoint()?.map_or(0, |checkpoint| checkpoint.position.offset);
    assert!(position * SLICES_PER_GENERATION <= slice, "the position is ahead: {what}");
    Ok(if slice + 1 == template.history.len() as u64 { Fate::Whole } else { Fate::Earlier })
}

/// A store that said after it was opened that it is damaged: it says nothing else
/// from then on, and another begins anew.
fn check_condemned(opening: &Opening, store: Store, error: StoreError) -> Fate {
    let StoreError::Damaged { reason } = error else { panic!("{error}") };
    for error in [store.get(b"a").expect_err("damage"), store.checkpoint().expect_err("damage")] {
        assert!(matches!(error, StoreError::Damaged { reason: again } if again == reason));
    }
    drop(store);
    let rebuilt = opening.move_aside(&reason).expect("moved aside");
    assert_eq!(rebuilt, Rebuilt { moved_to: Some(opening.dir.join("fold-1.damaged-1")), reason });
    check_empty(opening, common::open(opening));
    Fate::Rebuilt(rebuilt)
}

/// The store that replaces a damaged one begins anew and works.
fn check_empty(opening: &Opening, mut store: Store) {
    assert_eq!(contents(&store).expect("nothing is wrong with it"), Contents::default());
    assert_eq!(store.checkpoint().expect("a readable position"), None);
    let stored = Stored { position: common::checkpoint(1).position, bytes: b"new".to_vec() };
    store.write(&[common::write(b"new", stored.clone())]).expect("a written slice");
    store.set_checkpoint(&common::checkpoint(1)).expect("a checkpoint");
    drop(store);
    assert_eq!(common::open(opening).get(b"new").expect("a readable leaf"), Some(stored));
}

/// Damages a file of a copy of `template` and opens it.
fn check(template: &Template, file: &str, kind: Damage) -> Fate {
    let dir = tempfile::tempdir().expect("a directory");
    crate::copy(template.dir.path(), dir.path());
    damage(&dir.path().join("fold-1").join(file), kind);
    let opening = common::opening(dir.path());
    let opened = opening.open().expect("a store that opens");
    let Some(rebuilt) = opened.rebuilt else {
        // sled's own clearing up may come upon damage in what nothing refers to, at any time.
        return check_kept(template, &opened.store, &format!("{file} {kind:?}"))
            .unwrap_or_else(|error| check_condemned(&opening, opened.store, error));
    };
    let moved_to = rebuilt.moved_to.as_ref().expect("something is left of it");
    assert!(moved_to.ends_with("fold-1.damaged-1") && moved_to.is_dir(), "{rebuilt:?}");
    check_empty(&opening, opened.store);
    Fate::Rebuilt(rebuilt)
}

/// Thousandths of the file, all over it.
fn places(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |number| number * 1_000 / count + number % 7)
}

#[test]
fn a_flipped_bit_or_a_zeroed_block_is_never_silent() {
    let _alone = crate::alone();
    for lives in [1, 2] {
        let template = template(lives);
        assert_eq!(check(&template, "db", Damage::None), Fate::Whole);
        let kinds = places(40).map(Damage::Flipped).chain(places(24).map(Damage::Zeroed));
        let fates: Vec<Fate> = kinds.map(|kind| check(&template, "db", kind)).collect();
        assert!(fates.iter().any(|fate| matches!(fate, Fate::Rebuilt(_))), "some damage was damage");
    }
}

#[test]
fn a_store_cut_short_emptied_or_deleted_is_moved_aside_or_as_after_a_crash() {
    let _alone = crate::alone();
    let template = template(1);
    for thousandths in [1, 100, 400] {
        assert_ne!(check(&template, "db", Damage::Cut(thousandths)), Fate::Whole);
    }
    // How full the last segment is depends on when sled flushed: a cut near the end
    // may take what was never written, and then nothing may be missing.
    for thousandths in [700, 900, 999] {
        check(&template, "db", Damage::Cut(thousandths));
    }
    for kind in [Damage::AllZero, Damage::Cut(0), Damage::Deleted] {
        let fate = check(&template, "db", kind);
        assert!(matches!(&fate, Fate::Rebuilt(_)), "{kind:?}: {fate:?}");
    }
}

#[test]
fn damage_to_the_files_beside_is_never_silent() {
    let _alone = crate::alone();
    let template = template(2);
    let names = fs::read_dir(template.dir.path().join("fold-1")).expect("a folder");
    let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let files: Vec<String> = names.filter(|name| name == "conf" || name.starts_with("snap")).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        for kind in [1, 300, 500, 900, 990].map(Damage::Flipped).into_iter().chain([0, 500, 990].map(Damage::Cut)) {
            check(&template, file, kind);
        }
        check(&template, file, Damage::AllZero);
        check(&template, file, Damage::Deleted);
    }
}

#[test]
fn a_directory_that_is_gone_is_announced() {
    let _alone = crate::alone();
    let template = template(1);
    let dir = tempfile::tempdir().expect("a directory");
    crate::copy(template.dir.path(), dir.path());
    fs::remove_dir_all(dir.path().join("fold-1")).expect("a folder to delete");
    let opening = common::opening(dir.path());
    let opened = opening.open().expect("a store that opens");
    assert_eq!(opened.rebuilt, Some(Rebuilt { moved_to: None, reason: "its directory is gone".into() }));
    check_empty(&opening, opened.store);
}

#[test]
fn a_first_store_is_nothing_to_announce() {
    let _alone = crate::alone();
    let dir = tempfile::tempdir().expect("a directory");
    let opening = common::opening(&dir.path().join("not/there/yet"));
    check_empty(&opening, common::open(&opening));
}

/// A large store is opened before it is compared. Whatever it gave out until
/// then, nothing is written to it any more.
#[test]
fn a_store_scanned_behind_takes_nothing_before_it_is_found_whole() {
    let _alone = crate::alone();
    let template = template(1);
    for kind in places(40).map(Damage::Flipped).chain([Damage::None]) {
        let dir = tempfile::tempdir().expect("a directory");
        crate::copy(template.dir.path(), dir.path());
        damage(&dir.path().join("fold-1/db"), kind);
        let mut opening = common::opening(dir.path());
        opening.settings.scan_at_open_leaves = 0;
        let opened = opening.open().expect("a store that opens");
        if opened.rebuilt.is_some() {
            continue;
        }
        let mut store = opened.store;
        let found = store.write(&[]).and_then(|()| check_kept(&template, &store, &format!("{kind:?}")));
        let fate = found.unwrap_or_else(|error| check_condemned(&opening, store, error));
        assert!(fate == Fate::Whole || !matches!(kind, Damage::None), "nothing was wrong: {fate:?}");
    }
}

/// Whoever waits for it would count as hanging else.
#[test]
fn a_store_that_is_compared_calls_on_the_way() {
    let _alone = crate::alone();
    let template = template(1);
    let calls = std::cell::Cell::new(0);
    let opened = common::opening(template.dir.path()).open_while(&|| calls.set(calls.get() + 1));
    assert_eq!(opened.expect("a store that opens").rebuilt, None);
    assert!(calls.get() > 1, "{} calls", calls.get());
}

#[test]
fn a_store_dropped_amid_its_scan_closes() {
    let _alone = crate::alone();
    let template = template(1);
    let mut opening = common::opening(template.dir.path());
    opening.settings.scan_at_open_leaves = 0;
    drop(common::open(&opening));
    opening.settings.scan_at_open_leaves = u64::MAX;
    let fate = check_kept(&template, &common::open(&opening), "closed early").expect("nothing is wrong with it");
    assert_eq!(fate, Fate::Whole);
}

/// The disk loses what is open, as far as it is not in memory.
#[test]
fn damage_that_comes_up_later_is_told_and_moved_aside() {
    let _alone = crate::alone();
    let dir = tempfile::tempdir().expect("a directory");
    let mut opening = common::opening(dir.path());
    opening.settings.memory_bytes = 0;
    let mut store = common::open(&opening);
    let mut rng = fastrand::Rng::with_seed(9);
    let keys: Vec<Vec<u8>> = (0..60_000_u64).map(|number| number.to_be_bytes().to_vec()).collect();
    for keys in keys.chunks(1_000) {
        let slice: Vec<Write> = keys.iter().map(|key| common::write(key, common::leaf(&mut rng, 1))).collect();
        store.write(&slice).expect("a written slice");
    }
    store.set_checkpoint(&common::checkpoint(1)).expect("a checkpoint");
    damage(&dir.path().join("fold-1/db"), Damage::AllZero);
    let error = keys.iter().find_map(|key| store.get(key).err()).expect("more than the cache holds");
    assert!(matches!(store.write(&[]), Err(StoreError::Damaged { .. })));
    check_condemned(&opening, store, error);
}

#[test]
fn the_two_newest_of_what_is_moved_aside_are_kept() {
    let _alone = crate::alone();
    let dir = tempfile::tempdir().expect("a directory");
    let opening = common::opening(dir.path());
    for _ in 0..4 {
        drop(common::open(&opening));
        opening.move_aside("again").expect("moved aside");
    }
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["fold-1.damaged-3", "fold-1.damaged-4", "fold-1.lock"]);
}

#[test]
fn a_directory_of_another_fold_version_under_this_name_is_moved_aside() {
    let _alone = crate::alone();
    let template = template(1);
    let dir = tempfile::tempdir().expect("a directory");
    crate::copy(&template.dir.path().join("fold-1"), &dir.path().join("fold-2"));
    let mut opening = common::opening(dir.path());
    opening.settings.fold_version = 2;
    let opened = opening.open().expect("a store that opens");
    assert_eq!(opened.rebuilt.map(|rebuilt| rebuilt.reason).as_deref(), Some("expected fold version 2, got 1"));
    check_empty(&opening, opened.store);
}

/// A store at a place that can't be written is no damage: it is left as it is.
#[test]
fn a_place_that_is_no_directory_is_refused() {
    let _alone = crate::alone();
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("fold-1"), b"a file").expect("a file");
    let error = common::opening(dir.path()).open().expect_err("no directory");
    assert!(matches!(error, StoreError::Unavailable { .. }), "got {error:?}");
}
