//! Where each key lies in the file, by its id and by its owner: some 90 bytes of
//! memory a key. The keys themselves stay on the disk, but for those given out lately.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tradewind_domain::{Digest, KeyId, Tenant, derive};
use tradewind_ports::{SealingKey, VaultError};
use tradewind_wire::vault::{self, KeyEntry};

use crate::frame::{self, Cut, Entry, Fault, FrameWriter, HEADER_BYTES, Kind, Place, Scanned};
use crate::installation_key::InstallationKey;

/// A rewritten file has frames of about this size.
const REWRITTEN_FRAME_BYTES: usize = 64 << 10;

/// Most keys in memory, unwrapped; then every other one makes room.
const GIVEN_MAX: usize = 4_096;

/// Half of a hash over tenant and owner.
pub(crate) type OwnerKey = [u8; 16];

pub(crate) fn owner_key(tenant: &Tenant, owner: &Digest) -> OwnerKey {
    derive("vault", &[tenant.as_bytes(), owner])[..16].try_into().expect("a digest has 32 bytes")
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    by_id: HashMap<KeyId, (Place, OwnerKey)>,
    /// The first key of each owner.
    by_owner: HashMap<OwnerKey, Place>,
    /// An owner's keys behind the first, of the few that have more than one.
    further: HashMap<OwnerKey, Vec<Place>>,
    /// Erased ids whose keys may still stand in the file.
    pub(crate) erased: Vec<KeyId>,
    /// First keys of their owners, unwrapped.
    given: HashMap<OwnerKey, SealingKey>,
}

impl Index {
    pub(crate) fn of_id(&self, id: KeyId) -> Option<Place> {
        self.by_id.get(&id).map(|(place, _)| *place)
    }

    pub(crate) fn of_owner(&self, owner: &OwnerKey) -> Option<Place> {
        self.by_owner.get(owner).copied()
    }

    /// The first key of an owner, if it was given out lately.
    pub(crate) fn given(&self, owner: &OwnerKey) -> Option<SealingKey> {
        self.given.get(owner).cloned()
    }

    /// Notes what was read from `place`, unless that is no longer where the owner's first key lies.
    pub(crate) fn note(&mut self, owner: OwnerKey, place: Place, key: &SealingKey) {
        if self.of_owner(&owner) == Some(place) && self.by_id.contains_key(&key.id) {
            if self.given.len() >= GIVEN_MAX {
                let mut keep = false;
                self.given.retain(|_, _| {
                    keep = !keep;
                    keep
                });
            }
            self.given.insert(owner, key.clone());
        }
    }

    /// All keys of an owner, the first one first.
    pub(crate) fn all_of_owner(&self, owner: &OwnerKey) -> Vec<Place> {
        let further = self.further.get(owner).into_iter().flatten();
        self.by_owner.get(owner).into_iter().chain(further).copied().collect()
    }

    /// The key that lies first in the file.
    pub(crate) fn first(&self) -> Option<Place> {
        self.by_id.values().map(|(place, _)| *place).min_by_key(|place| place.offset)
    }

    pub(crate) fn add(&mut self, id: KeyId, owner: OwnerKey, place: Place) {
        if self.by_id.contains_key(&id) {
            return;
        }
        self.by_id.insert(id, (place, owner));
        let first = *self.by_owner.entry(owner).or_insert(place);
        if first != place {
            self.further.entry(owner).or_default().push(place);
        }
    }

    /// Takes in what stands in the file from `from` on.
    pub(crate) fn read(&mut self, file: &mut File, from: u64) -> Result<Scanned, Fault> {
        frame::scan(file, from, |entry| {
            match entry {
                Entry::Key { place, bytes } => {
                    let entry = decode(place, bytes)?;
                    self.add(entry.id, owner_key(&entry.tenant, &entry.owner), place);
                }
                Entry::Erased(id) => self.forget(id),
                Entry::Mark { place, .. } => {
                    return Err(Fault::Damaged {
                        offset: place.offset,
                        what: "a vault isn't read from a topic".into(),
                    });
                }
            }
            Ok(())
        })
    }

    /// The key of this id is not given out any more; the owner's next one, if any, is now the first.
    pub(crate) fn forget(&mut self, id: KeyId) {
        let Some((place, owner)) = self.by_id.remove(&id) else { return };
        self.erased.push(id);
        self.given.remove(&owner);
        let mut left = self.all_of_owner(&owner);
        left.retain(|other| *other != place);
        self.by_owner.remove(&owner);
        self.further.remove(&owner);
        let mut left = left.into_iter();
        if let Some(first) = left.next() {
            self.by_owner.insert(owner, first);
        }
        if left.len() > 0 {
            self.further.insert(owner, left.collect());
        }
    }
}

/// Writes the keys of one file behind what another holds, but for the erased ones.
pub(crate) fn copy_without(old: &mut File, erased: &BTreeSet<KeyId>, new: &mut File) -> Result<(), Fault> {
    let mut writer = FrameWriter::default();
    // The places are those in the new file when it is read, so nobody needs them here.
    let write = |writer: FrameWriter, new: &mut File| new.write_all(&writer.finish(0).0);
    frame::scan(old, HEADER_BYTES as u64, |entry| {
        if let Entry::Key { place, bytes } = entry
            && !erased.contains(&decode(place, bytes)?.id)
        {
            writer.push_key_bytes(bytes);
        }
        if writer.len() >= REWRITTEN_FRAME_BYTES {
            write(std::mem::take(&mut writer), new)?;
        }
        Ok(())
    })?;
    if writer.len() > 0 { Ok(write(writer, new)?) } else { Ok(()) }
}

pub(crate) fn decode(place: Place, bytes: &[u8]) -> Result<KeyEntry, Fault> {
    vault::decode(bytes).map_err(|error| Fault::Damaged { offset: place.offset, what: error.to_string() })
}

/// The entry that lies at `place`.
pub(crate) fn entry_at(file: &File, place: Place) -> Result<KeyEntry, Fault> {
    let mut bytes = vec![0; usize::from(place.length)];
    file.read_exact_at(&mut bytes, place.offset)?;
    decode(place, &bytes)
}

/// The key that lies at `place`, unwrapped.
pub(crate) fn key_at(file: &File, place: Place, with: &InstallationKey) -> Result<SealingKey, Fault> {
    with.unwrap(&entry_at(file, place)?)
        .ok_or_else(|| Fault::Damaged { offset: place.offset, what: "expected the key that was wrapped".into() })
}

/// Whether this is a vault of this installation.
pub(crate) fn check(file: &mut File, path: &Path, with: &InstallationKey) -> Result<(), VaultError> {
    let check = frame::read_header(file, Kind::Vault).map_err(|fault| told(path, fault))?;
    if check == with.check() { Ok(()) } else { Err(made_with_another_key(path)) }
}

pub(crate) fn made_with_another_key(path: &Path) -> VaultError {
    let reason = format!("{} was made with another installation key: mount the one it was made with", path.display());
    VaultError::Unavailable { reason }
}

pub(crate) fn told(path: &Path, fault: Fault) -> VaultError {
    let path = path.display();
    match fault {
        Fault::Io(error) => VaultError::Unavailable { reason: format!("{path}: {error}") },
        Fault::Damaged { offset, what } => {
            VaultError::Damaged { reason: format!("{path} is damaged at offset {offset}: {what}") }
        }
    }
}

pub(crate) fn cut(scanned: Scanned) -> Option<Cut> {
    (scanned.torn_bytes > 0).then_some(Cut { offset: scanned.end, bytes: scanned.torn_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody reads a key from the file while another erases it.
    #[test]
    fn a_key_that_was_erased_meanwhile_is_not_noted() {
        let (owner, place) = ([1; 16], Place { offset: 12, length: 90 });
        let key = SealingKey { id: KeyId::from_bytes([2; 16]), key: [3; 32] };
        let mut index = Index::default();
        index.add(key.id, owner, place);
        index.note(owner, place, &key);
        assert!(index.given(&owner).is_some());
        index.forget(key.id);
        index.note(owner, place, &key);
        assert!(index.given(&owner).is_none());
        // The owner's next key lies elsewhere, or in its place once the file was rewritten.
        for place in [place, Place { offset: 102, length: 90 }] {
            let mut index = Index::default();
            index.add(KeyId::from_bytes([4; 16]), owner, place);
            index.note(owner, Place { offset: 12, length: 90 }, &key);
            assert!(index.given(&owner).is_none());
        }
    }

    #[test]
    fn keys_in_memory_are_bounded() {
        let mut index = Index::default();
        for number in 0..2 * u32::try_from(GIVEN_MAX).unwrap() {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            let key = SealingKey { id: KeyId::from_bytes(bytes), key: [0; 32] };
            let place = Place { offset: u64::from(number), length: 90 };
            index.add(key.id, bytes, place);
            index.note(bytes, place, &key);
            assert!(index.given.len() <= GIVEN_MAX);
            assert!(index.given(&bytes).is_some());
        }
    }
}
