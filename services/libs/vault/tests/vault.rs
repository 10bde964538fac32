//! The vault as its users see it, and what damage to its file does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;
use tradewind_domain::{Digest, Tenant, Timestamp};
use tradewind_ports::{Clock, KeyVault, SealingKey, VaultError};
use tradewind_vault::{Cut, FileVault, InstallationKey, Opened, VaultReader};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

const HEADER_BYTES: u64 = 28;

struct Home(TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        InstallationKey::create(&home.0.path().join("key")).unwrap();
        home
    }

    fn key(&self) -> InstallationKey {
        InstallationKey::load(&self.0.path().join("key")).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("vault")
    }

    fn try_open(&self) -> Result<Opened, VaultError> {
        FileVault::open(&self.path(), self.key(), Arc::new(Noon))
    }

    fn open(&self) -> FileVault {
        let opened = self.try_open().unwrap();
        assert_eq!(opened.cut, None);
        opened.vault
    }

    fn reader(&self) -> VaultReader {
        VaultReader::open(&self.path(), self.key()).unwrap()
    }
}

fn demo() -> Tenant {
    Tenant::new("demo").unwrap()
}

fn owner(number: u8) -> Digest {
    [number; 32]
}

/// A vault of so many keys, each in a frame of its own, and where its frames end.
fn filled(home: &Home, keys: u8) -> (Vec<SealingKey>, Vec<u64>) {
    let vault = home.open();
    let mut ends = vec![HEADER_BYTES];
    let made = (0..keys)
        .map(|number| {
            let key = vault.key_of(&demo(), &owner(number)).unwrap();
            ends.push(length(&home.path()));
            key
        })
        .collect();
    (made, ends)
}

/// An offset in a file that is held in memory.
fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

fn contains(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn a_move_takes_every_key_but_the_erased_ones() {
    let home = Home::new();
    let (keys, _) = filled(&home, 3);
    home.open().erase(&demo(), &owner(1)).unwrap();
    let entries = home.reader().entries().unwrap();
    assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [keys[0].id, keys[2].id]);
}

#[test]
fn a_key_is_the_same_however_often_it_is_asked_for() {
    let home = Home::new();
    let vault = home.open();
    let key = vault.key_of(&demo(), &owner(1)).unwrap();
    let other_tenant = vault.key_of(&Tenant::new("other").unwrap(), &owner(1)).unwrap();
    assert_ne!(other_tenant.key, key.key);
    drop(vault);
    let vault = home.open();
    let again = vault.key_of(&demo(), &owner(1)).unwrap();
    assert_eq!((again.id, again.key), (key.id, key.key));
    assert_eq!(vault.key(key.id).unwrap().unwrap().key, key.key);
    assert!(vault.key(tradewind_domain::KeyId::from_bytes([0; 16])).unwrap().is_none());
}

#[test]
fn no_key_stands_in_the_file_in_clear() {
    let home = Home::new();
    for key in filled(&home, 3).0 {
        assert!(!contains(&home.path(), &key.key));
        assert!(contains(&home.path(), key.id.as_bytes()));
    }
}

#[test]
fn two_keys_of_one_owner_are_both_kept_and_the_first_is_used() {
    let home = Home::new();
    let first = home.open().key_of(&demo(), &owner(1)).unwrap();
    let first_file = fs::read(home.path()).unwrap();
    fs::remove_file(home.path()).unwrap();
    let second = home.open().key_of(&demo(), &owner(1)).unwrap();
    let second_frames = fs::read(home.path()).unwrap().split_off(at(HEADER_BYTES));
    // As when two processes made a key for one owner at the same time.
    fs::write(home.path(), [first_file, second_frames].concat()).unwrap();
    let vault = home.open();
    assert_eq!(vault.key_of(&demo(), &owner(1)).unwrap().id, first.id);
    assert_eq!(vault.key(second.id).unwrap().unwrap().key, second.key);
    assert_eq!(vault.erase(&demo(), &owner(1)).unwrap(), 2);
    assert!(vault.key(first.id).unwrap().is_none() && vault.key(second.id).unwrap().is_none());
}

#[test]
fn an_erased_key_is_gone_from_the_file_and_its_owner_gets_another() {
    let home = Home::new();
    let (keys, _) = filled(&home, 3);
    let before = length(&home.path());
    let vault = home.open();
    let at_hand = |number| vault.at_hand(&demo(), &owner(number)).map(|key| key.id);
    assert_eq!(at_hand(1), None, "it has not been asked for since the vault was opened");
    for number in [1, 2] {
        vault.key_of(&demo(), &owner(number)).unwrap();
        assert_eq!(at_hand(number), Some(keys[usize::from(number)].id));
    }
    assert_eq!(vault.erase(&demo(), &owner(1)).unwrap(), 1);
    assert_eq!(at_hand(1), None);
    assert!(!contains(&home.path(), keys[1].id.as_bytes()));
    assert!(!contains(&home.path(), &owner(1)));
    assert!(length(&home.path()) < before);
    assert_eq!(vault.erase(&demo(), &owner(1)).unwrap(), 0);
    let kept = |vault: &FileVault| {
        assert!(vault.key(keys[1].id).unwrap().is_none());
        for number in [0, 2] {
            assert_eq!(vault.key_of(&demo(), &owner(number)).unwrap().key, keys[usize::from(number)].key);
        }
    };
    kept(&vault);
    let another = vault.key_of(&demo(), &owner(1)).unwrap();
    assert_ne!(another.key, keys[1].key);
    drop(vault);
    let vault = home.open();
    kept(&vault);
    assert_eq!(vault.key_of(&demo(), &owner(1)).unwrap().key, another.key);
}

#[test]
fn one_process_writes_and_others_read_beside_it() {
    let home = Home::new();
    let vault = home.open();
    assert!(matches!(home.try_open(), Err(VaultError::Unavailable { .. })));
    let reader = home.reader();
    let first = vault.key_of(&demo(), &owner(1)).unwrap();
    let second = vault.key_of(&demo(), &owner(2)).unwrap();
    assert_eq!(reader.key(first.id).unwrap().unwrap().key, first.key);
    vault.erase(&demo(), &owner(1)).unwrap();
    assert!(reader.key(first.id).unwrap().is_none());
    assert_eq!(reader.key(second.id).unwrap().unwrap().key, second.key);
    let third = vault.key_of(&demo(), &owner(3)).unwrap();
    assert_eq!(reader.key(third.id).unwrap().unwrap().key, third.key);
    drop(vault);
    home.open();
}

#[test]
fn a_reader_leaves_a_write_under_way_alone() {
    let home = Home::new();
    let (keys, ends) = filled(&home, 2);
    let whole = fs::read(home.path()).unwrap();
    fs::write(home.path(), &whole[..at(ends[2]) - 1]).unwrap();
    let reader = home.reader();
    assert!(reader.key(keys[1].id).unwrap().is_none());
    assert_eq!(length(&home.path()), ends[2] - 1);
    // The same file, not another in its place.
    fs::write(home.path(), &whole).unwrap();
    assert_eq!(reader.key(keys[1].id).unwrap().unwrap().key, keys[1].key);
}

#[test]
fn another_installation_key_is_told_apart_from_damage() {
    let home = Home::new();
    filled(&home, 1);
    fs::remove_file(home.0.path().join("key")).unwrap();
    InstallationKey::create(&home.0.path().join("key")).unwrap();
    let error = home.try_open().unwrap_err();
    assert!(matches!(&error, VaultError::Unavailable { reason } if reason.contains("another installation key")));
    assert!(VaultReader::open(&home.path(), home.key()).is_err());
}

#[test]
fn a_write_that_was_torn_off_is_cut_wherever_it_ends() {
    let home = Home::new();
    let (keys, ends) = filled(&home, 3);
    let whole = fs::read(home.path()).unwrap();
    for cut_at in ends[2] + 1..ends[3] {
        let torn_bytes = cut_at - ends[2];
        // The file may have grown before the bytes were written.
        for unwritten in [0, 700] {
            let mut file = whole[..at(cut_at)].to_vec();
            file.resize(file.len() + unwritten, 0);
            fs::write(home.path(), file).unwrap();
            let opened = home.try_open().unwrap();
            assert_eq!(opened.cut, Some(Cut { offset: ends[2], bytes: torn_bytes + unwritten as u64 }));
            assert_eq!(length(&home.path()), ends[2]);
            assert_eq!(opened.vault.key(keys[1].id).unwrap().unwrap().key, keys[1].key);
            assert!(opened.vault.key(keys[2].id).unwrap().is_none());
            let made = opened.vault.key_of(&demo(), &owner(9)).unwrap();
            drop(opened);
            assert_eq!(home.open().key(made.id).unwrap().unwrap().key, made.key);
        }
    }
}

#[test]
fn a_sector_of_the_last_write_that_never_came_is_a_torn_write() {
    let home = Home::new();
    let (keys, ends) = filled(&home, 4);
    let whole = fs::read(home.path()).unwrap();
    // The last frame begins before the end of a sector and ends behind it.
    let (start, end) = (at(ends[3]), at(ends[4]));
    let boundary = end / 512 * 512;
    assert!(start < boundary && boundary < end, "expected a frame over a sector's end, got {start}..{end}");
    for missing in [start..boundary, boundary..end, start..end] {
        let mut file = whole.clone();
        file[missing].fill(0);
        fs::write(home.path(), file).unwrap();
        let opened = home.try_open().unwrap();
        assert_eq!(opened.cut, Some(Cut { offset: ends[3], bytes: ends[4] - ends[3] }));
        assert!(opened.vault.key(keys[3].id).unwrap().is_none());
    }
}

#[test]
fn zeros_before_the_last_write_are_damage() {
    let home = Home::new();
    let (_, ends) = filled(&home, 8);
    let mut file = fs::read(home.path()).unwrap();
    file[at(ends[1])..at(ends[3])].fill(0);
    fs::write(home.path(), file).unwrap();
    let error = home.try_open().unwrap_err().to_string();
    assert!(
        error.contains(&format!("at offset {}", ends[1])) && error.contains("restore it from its backup"),
        "{error}"
    );
}

proptest! {
    /// Whatever bit flips, in the last frame too: no key is lost in silence.
    #[test]
    fn a_flipped_bit_is_refused_with_its_place(byte in any::<proptest::sample::Index>(), bit in 0..8_u32) {
        let home = Home::new();
        let (_, ends) = filled(&home, 4);
        let mut file = fs::read(home.path()).unwrap();
        let byte = byte.index(file.len());
        file[byte] ^= 1 << bit;
        fs::write(home.path(), &file).unwrap();
        let offset = ends.iter().rev().find(|end| **end <= byte as u64).copied().unwrap_or(0);
        let error = home.try_open().unwrap_err();
        prop_assert!(matches!(&error, VaultError::Damaged { reason } if reason.contains(&format!("at offset {offset}"))), "{error}");
        prop_assert!(VaultReader::open(&home.path(), home.key()).is_err());
        prop_assert_eq!(fs::read(home.path()).unwrap(), file);
    }

    /// Any bytes: an error, or a vault that works; never a panic.
    #[test]
    fn any_file_at_all_is_opened_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600), keeps_header: bool) {
        let home = Home::new();
        filled(&home, 1);
        let mut file = bytes;
        if keeps_header {
            let header = fs::read(home.path()).unwrap()[..at(HEADER_BYTES)].to_vec();
            file = [header, file].concat();
        }
        fs::write(home.path(), file).unwrap();
        if let Ok(opened) = home.try_open() {
            prop_assert!(opened.vault.key_of(&demo(), &owner(1)).is_ok());
        }
    }
}
