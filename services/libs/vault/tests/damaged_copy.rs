//! A copy is a cache: whatever becomes of its file, the keys come back from the topic.

mod processes;

use std::fs;

use processes::{Installation, demo, owner};
use proptest::prelude::*;
use tradewind_ports::{KeyVault as _, SealingKey, VaultError};
use tradewind_vault::Rebuilt;

/// An installation with so many keys, and a process that has read them in a file.
fn filled(keys: u8) -> (Installation, Vec<SealingKey>) {
    let installation = Installation::new();
    let a = installation.open("a");
    let keys = (0..keys).map(|number| a.key_of(&demo(), &owner(number)).unwrap()).collect();
    drop(a);
    (installation, keys)
}

#[test]
fn a_lost_file_is_read_from_the_topic_anew() {
    let (installation, keys) = filled(3);
    fs::remove_file(installation.path("a")).unwrap();
    let followed = installation.try_open("a").unwrap();
    assert_eq!(followed.rebuilt, Some(Rebuilt::Missing));
    for (number, key) in (0..).zip(&keys) {
        assert_eq!(followed.vault.key_of(&demo(), &owner(number)).unwrap().key, key.key);
    }
    assert_eq!(installation.on_topic().len(), 3);
}

#[test]
fn a_file_that_is_damaged_while_it_is_in_use_is_read_anew() {
    let (installation, keys) = filled(2);
    let a = installation.open("a");
    let zeros = vec![0; usize::try_from(fs::metadata(installation.path("a")).unwrap().len()).unwrap()];
    fs::write(installation.path("a"), &zeros).unwrap();
    assert_eq!(a.key(keys[1].id).unwrap().unwrap().key, keys[1].key);
    assert_eq!(a.key_of(&demo(), &owner(0)).unwrap().key, keys[0].key);
    assert_eq!(fs::read(installation.path("a").with_extension("keys.damaged")).unwrap(), zeros);
    // A disk that does it again is no place for a vault.
    fs::write(installation.path("a"), &zeros).unwrap();
    assert!(matches!(a.key(keys[1].id), Err(VaultError::Damaged { .. })));
    drop(a);
    assert!(matches!(installation.try_open("a").unwrap().rebuilt, Some(Rebuilt::Damaged { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bit flips: the file is moved aside, and nothing is missing.
    #[test]
    fn a_flipped_bit_is_found_and_mended(byte in any::<proptest::sample::Index>(), bit in 0..8_u32) {
        let (installation, keys) = filled(3);
        let mut file = fs::read(installation.path("a")).unwrap();
        let byte = byte.index(file.len());
        file[byte] ^= 1 << bit;
        fs::write(installation.path("a"), &file).unwrap();
        let followed = installation.try_open("a").unwrap();
        let Some(Rebuilt::Damaged { aside, .. }) = &followed.rebuilt else { panic!("got {:?}", followed.rebuilt) };
        prop_assert_eq!(fs::read(aside).unwrap(), file);
        for key in &keys {
            prop_assert_eq!(followed.vault.key(key.id).unwrap().unwrap().key, key.key);
        }
        drop(followed);
        prop_assert_eq!(installation.try_open("a").unwrap().rebuilt, None);
    }

    /// Wherever power loss cut it: what is missing is read again.
    #[test]
    fn a_file_that_ends_early_misses_nothing(length in any::<proptest::sample::Index>()) {
        let (installation, keys) = filled(3);
        let file = fs::read(installation.path("a")).unwrap();
        fs::write(installation.path("a"), &file[..length.index(file.len())]).unwrap();
        let a = installation.open("a");
        for (number, key) in (0..).zip(&keys) {
            prop_assert_eq!(a.key_of(&demo(), &owner(number)).unwrap().key, key.key);
        }
        prop_assert_eq!(installation.on_topic().len(), 3);
    }
}
