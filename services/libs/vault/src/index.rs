//! Where each key lies in the file, by its id and by its owner: some 70 bytes of
//! memory a key. The keys themselves stay on the disk.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tradewind_domain::{Digest, KeyId, Tenant, derive};
use tradewind_ports::{SealingKey, VaultError};
use tradewind_wire::vault::{self, KeyEntry};

use crate::frame::{self, Cut, Entry, Fault, Place, Scanned};
use crate::installation_key::InstallationKey;

/// Half of a hash over tenant and owner.
pub(crate) type OwnerKey = [u8; 16];

pub(crate) fn owner_key(tenant: &Tenant, owner: &Digest) -> OwnerKey {
    derive("vault", &[tenant.as_bytes(), owner])[..16].try_into().expect("a digest has 32 bytes")
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    by_id: HashMap<KeyId, Place>,
    /// The first key of each owner.
    by_owner: HashMap<OwnerKey, Place>,
    /// Erased ids whose keys may still stand in the file.
    pub(crate) erased: Vec<KeyId>,
}

impl Index {
    pub(crate) fn of_id(&self, id: KeyId) -> Option<Place> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn of_owner(&self, owner: &OwnerKey) -> Option<Place> {
        self.by_owner.get(owner).copied()
    }

    pub(crate) fn add(&mut self, id: KeyId, owner: OwnerKey, place: Place) {
        self.by_id.entry(id).or_insert(place);
        self.by_owner.entry(owner).or_insert(place);
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
            }
            Ok(())
        })
    }

    /// The key of this id is not given out any more; erasing takes all of an owner.
    pub(crate) fn forget(&mut self, id: KeyId) {
        if let Some(place) = self.by_id.remove(&id) {
            self.by_owner.retain(|_, first| *first != place);
        }
        self.erased.push(id);
    }
}

pub(crate) fn decode(place: Place, bytes: &[u8]) -> Result<KeyEntry, Fault> {
    vault::decode(bytes).map_err(|error| Fault::Damaged { offset: place.offset, what: error.to_string() })
}

/// The key that lies at `place`, unwrapped.
pub(crate) fn key_at(file: &File, place: Place, with: &InstallationKey) -> Result<SealingKey, Fault> {
    let mut bytes = vec![0; usize::from(place.length)];
    file.read_exact_at(&mut bytes, place.offset)?;
    let entry = decode(place, &bytes)?;
    with.unwrap(&entry)
        .ok_or_else(|| Fault::Damaged { offset: place.offset, what: "expected the key that was wrapped".into() })
}

/// Opens for reading what is a vault of this installation.
pub(crate) fn check(file: &mut File, path: &Path, with: &InstallationKey) -> Result<(), VaultError> {
    let check = frame::read_header(file).map_err(|fault| told(path, fault))?;
    if check == with.check() {
        return Ok(());
    }
    let reason = format!("{} was made with another installation key: mount the one it was made with", path.display());
    Err(VaultError::Unavailable { reason })
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
