//! The one that writes: keys made, found and erased.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tradewind_domain::{Digest, KeyId, Tenant};
use tradewind_ports::{Clock, KeyVault, SealingKey, VaultError};
use tradewind_wire::vault::KeyEntry;

use crate::files::{lock, open_file, replace};
use crate::frame::{self, Cut, Entry, FrameWriter, HEADER_BYTES, Kind};
use crate::index::{self, Index, OwnerKey, cut, key_at, owner_key, told};
use crate::installation_key::InstallationKey;

/// Calls from many threads share their writes: whoever comes while the disk is
/// busy waits, and then one of them writes for all.
pub struct FileVault {
    path: PathBuf,
    installation_key: InstallationKey,
    clock: Arc<dyn Clock>,
    sync: Sync,
    state: Mutex<State>,
    flushed: Condvar,
    /// Held as long as this process writes.
    _lock: File,
}

/// How a file is made to last; the tests put faults here.
type Sync = Box<dyn Fn(&File) -> io::Result<()> + Send + std::marker::Sync>;

struct State {
    file: Arc<File>,
    end: u64,
    index: Index,
    /// Made and not written yet.
    waiting: BTreeMap<OwnerKey, KeyEntry>,
    /// On their way to the disk.
    in_flight: BTreeSet<OwnerKey>,
    /// After a write that failed nobody knows what the file holds.
    failed: Option<String>,
}

/// A vault, and what was cut off its end.
#[derive(Debug)]
pub struct Opened {
    pub vault: FileVault,
    pub cut: Option<Cut>,
}

impl FileVault {
    /// Opens the vault at `path` for writing, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// Another process writes to it, it was made with another installation key, or
    /// it is damaged.
    pub fn open(path: &Path, installation_key: InstallationKey, clock: Arc<dyn Clock>) -> Result<Opened, VaultError> {
        FileVault::open_with(path, installation_key, clock, Box::new(File::sync_data))
    }

    fn open_with(
        path: &Path,
        installation_key: InstallationKey,
        clock: Arc<dyn Clock>,
        sync: Sync,
    ) -> Result<Opened, VaultError> {
        let lock = lock(path)?;
        let unavailable = |error: io::Error| told(path, error.into());
        if !path.try_exists().map_err(unavailable)? {
            replace(path, |file| file.write_all(&frame::header(Kind::Vault, installation_key.check())))
                .map_err(unavailable)?;
        }
        let mut file = open_file(path).map_err(unavailable)?;
        index::check(&mut file, path, &installation_key)?;
        let mut index = Index::default();
        let scanned = index.read(&mut file, HEADER_BYTES as u64).map_err(|fault| told(path, fault))?;
        if scanned.torn_bytes > 0 {
            file.set_len(scanned.end).and_then(|()| file.sync_all()).map_err(unavailable)?;
        }
        let has_erased = !index.erased.is_empty();
        let state = State {
            file: Arc::new(file),
            end: scanned.end,
            index,
            waiting: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            failed: None,
        };
        let vault = FileVault {
            path: path.into(),
            installation_key,
            clock,
            sync,
            state: Mutex::new(state),
            flushed: Condvar::new(),
            _lock: lock,
        };
        if has_erased {
            // The process ended between a tombstone and the rewriting.
            vault.rewrite(&mut vault.state())?;
        }
        Ok(Opened { vault, cut: cut(scanned) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the vault")
    }

    fn told(&self, fault: impl Into<frame::Fault>) -> VaultError {
        told(&self.path, fault.into())
    }

    /// Writes what waits, for everybody; the lock is free while the disk works.
    fn flush<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let batch = std::mem::take(&mut state.waiting);
        state.in_flight = batch.keys().copied().collect();
        let (file, offset) = (state.file.clone(), state.end);
        drop(state);
        let mut writer = FrameWriter::default();
        batch.values().for_each(|entry| writer.push_key(entry));
        let (frame, places) = writer.finish(offset);
        let written = file.write_all_at(&frame, offset).and_then(|()| (self.sync)(&file));
        let mut state = self.state();
        state.in_flight.clear();
        match written {
            Ok(()) => {
                state.end += frame.len() as u64;
                for ((owner, entry), place) in batch.into_iter().zip(places) {
                    state.index.add(entry.id, owner, place);
                }
            }
            Err(error) => state.failed = Some(error.to_string()),
        }
        self.flushed.notify_all();
        state
    }

    /// The ids of an owner's keys in the file, erased or not.
    fn ids_of(&self, state: &State, tenant: &Tenant, owner: &Digest) -> Result<Vec<KeyId>, frame::Fault> {
        let mut ids = Vec::new();
        let mut file = state.file.try_clone()?;
        frame::scan(&mut file, HEADER_BYTES as u64, |entry| {
            if let Entry::Key { place, bytes } = entry {
                let entry = index::decode(place, bytes)?;
                if entry.tenant == *tenant && entry.owner == *owner {
                    ids.push(entry.id);
                }
            }
            Ok(())
        })?;
        Ok(ids)
    }

    /// Marks keys as erased, durably: from here on they are not given out.
    fn bury(&self, state: &mut State, ids: &[KeyId]) -> Result<(), VaultError> {
        let mut writer = FrameWriter::default();
        ids.iter().for_each(|id| writer.push_erased(*id));
        let (frame, _) = writer.finish(state.end);
        let written = state.file.write_all_at(&frame, state.end).and_then(|()| (self.sync)(&state.file));
        if let Err(error) = written {
            state.failed = Some(error.to_string());
            return Err(self.told(error));
        }
        state.end += frame.len() as u64;
        ids.iter().for_each(|id| state.index.forget(*id));
        Ok(())
    }

    /// Puts a file without the erased keys in the place of this one.
    fn rewrite(&self, state: &mut State) -> Result<(), VaultError> {
        let erased: BTreeSet<KeyId> = state.index.erased.iter().copied().collect();
        let mut old = state.file.try_clone().map_err(|error| self.told(error))?;
        replace(&self.path, |new| {
            new.write_all(&frame::header(Kind::Vault, self.installation_key.check()))?;
            index::copy_without(&mut old, &erased, new).map_err(|fault| io::Error::other(told(&self.path, fault)))
        })
        .map_err(|error| self.told(error))?;
        let mut file = open_file(&self.path).map_err(|error| self.told(error))?;
        let mut index = Index::default();
        let scanned = index.read(&mut file, HEADER_BYTES as u64).map_err(|fault| self.told(fault))?;
        (state.file, state.end, state.index) = (Arc::new(file), scanned.end, index);
        Ok(())
    }
}

impl KeyVault for FileVault {
    fn key_of(&self, tenant: &Tenant, owner: &Digest) -> Result<SealingKey, VaultError> {
        let owner_key = owner_key(tenant, owner);
        let mut state = self.state();
        loop {
            if let Some(key) = state.index.given(&owner_key) {
                return Ok(key);
            }
            if let Some(place) = state.index.of_owner(&owner_key) {
                let file = state.file.clone();
                drop(state);
                let key = key_at(&file, place, &self.installation_key).map_err(|fault| self.told(fault))?;
                self.state().index.note(owner_key, place, &key);
                return Ok(key);
            }
            state.check_usable(&self.path)?;
            if !state.waiting.contains_key(&owner_key) && !state.in_flight.contains(&owner_key) {
                let entry = self.installation_key.draw(tenant, owner, self.clock.now())?;
                state.waiting.insert(owner_key, entry);
            }
            state = if state.in_flight.is_empty() {
                self.flush(state)
            } else {
                self.flushed.wait(state).expect("nothing panics while it holds the vault")
            };
        }
    }

    fn at_hand(&self, tenant: &Tenant, owner: &Digest) -> Option<SealingKey> {
        // Somebody erases, and holds it for long, or is done in a moment: either way nobody waits.
        self.state.try_lock().ok()?.index.given(&owner_key(tenant, owner))
    }

    fn key(&self, id: KeyId) -> Result<Option<SealingKey>, VaultError> {
        let state = self.state();
        let Some(place) = state.index.of_id(id) else { return Ok(None) };
        let file = state.file.clone();
        drop(state);
        key_at(&file, place, &self.installation_key).map(Some).map_err(|fault| self.told(fault))
    }

    /// The tombstones are on the disk before the file is rewritten, and the lock
    /// is held throughout: some seconds for a million keys.
    fn erase(&self, tenant: &Tenant, owner: &Digest) -> Result<u32, VaultError> {
        let mut state = self.state();
        while !(state.in_flight.is_empty() && state.waiting.is_empty()) {
            state.check_usable(&self.path)?;
            state = if state.in_flight.is_empty() {
                self.flush(state)
            } else {
                self.flushed.wait(state).expect("nothing panics while it holds the vault")
            };
        }
        state.check_usable(&self.path)?;
        let ids = self.ids_of(&state, tenant, owner).map_err(|fault| self.told(fault))?;
        let alive: Vec<KeyId> = ids.iter().copied().filter(|id| state.index.of_id(*id).is_some()).collect();
        if !alive.is_empty() {
            self.bury(&mut state, &alive)?;
        }
        // Also after a rewriting that failed, when all of them are buried already.
        if !ids.is_empty() {
            self.rewrite(&mut state)?;
        }
        Ok(u32::try_from(ids.len()).expect("an owner has few keys"))
    }
}

impl State {
    fn check_usable(&self, path: &Path) -> Result<(), VaultError> {
        let Some(failed) = &self.failed else { return Ok(()) };
        let reason = format!("{}: an earlier write failed: {failed}; start again", path.display());
        Err(VaultError::Unavailable { reason })
    }
}

impl fmt::Debug for FileVault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FileVault({})", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use tradewind_domain::Timestamp;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_800_000_000_000)
        }
    }

    fn open(directory: &Path, sync: Sync) -> FileVault {
        let key_path = directory.join("key");
        let key = InstallationKey::load(&key_path).or_else(|_| InstallationKey::create(&key_path)).unwrap();
        FileVault::open_with(&directory.join("vault"), key, Arc::new(Noon), sync).unwrap().vault
    }

    fn demo() -> Tenant {
        Tenant::new("demo").unwrap()
    }

    #[test]
    fn a_key_that_may_not_be_on_the_disk_is_given_to_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let failing = open(directory.path(), Box::new(|_| Err(io::Error::other("no space"))));
        for owner in [[1; 32], [1; 32], [2; 32]] {
            assert!(matches!(failing.key_of(&demo(), &owner), Err(VaultError::Unavailable { .. })));
        }
        assert!(failing.erase(&demo(), &[1; 32]).is_err());
        drop(failing);
        // It was written after all, and whoever asks again gets that one key.
        let healed = open(directory.path(), Box::new(File::sync_data));
        let key = healed.key_of(&demo(), &[1; 32]).unwrap();
        assert_eq!(healed.key_of(&demo(), &[1; 32]).unwrap().id, key.id);
    }

    #[test]
    fn calls_that_come_while_the_disk_is_busy_share_one_write() {
        let directory = tempfile::tempdir().unwrap();
        let syncs = Arc::new(AtomicUsize::new(0));
        let (started, has_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        let counted = syncs.clone();
        let vault = open(
            directory.path(),
            Box::new(move |file| {
                counted.fetch_add(1, Ordering::SeqCst);
                started.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
                file.sync_data()
            }),
        );
        let (mut first, mut others) = (None, Vec::new());
        thread::scope(|scope| {
            let leader = scope.spawn(|| vault.key_of(&demo(), &[0; 32]).unwrap());
            has_started.recv().unwrap();
            let rest: Vec<_> = (0..8_u8)
                .map(|owner| {
                    let vault = &vault;
                    scope.spawn(move || vault.key_of(&demo(), &[owner % 4; 32]).unwrap())
                })
                .collect();
            // Owner 0 waits for the write under way, the three others for the next.
            while vault.state().waiting.len() < 3 {
                thread::yield_now();
            }
            go.send(()).unwrap();
            go.send(()).unwrap();
            first = Some(leader.join().unwrap());
            others = rest.into_iter().map(|thread| thread.join().unwrap()).collect();
        });
        assert_eq!(syncs.load(Ordering::SeqCst), 2);
        assert_eq!(others[0].id, first.unwrap().id);
        for owner in 0..4 {
            assert_eq!(others[owner].id, others[owner + 4].id, "{owner}");
        }
    }

    #[test]
    fn an_erasure_that_was_interrupted_is_finished_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let vault = open(directory.path(), Box::new(File::sync_data));
        let (gone, kept) = (vault.key_of(&demo(), &[1; 32]).unwrap(), vault.key_of(&demo(), &[2; 32]).unwrap());
        let mut state = vault.state();
        vault.bury(&mut state, &[gone.id]).unwrap();
        drop(state);
        drop(vault);
        let length = || std::fs::metadata(directory.path().join("vault")).unwrap().len();
        let before = length();
        let vault = open(directory.path(), Box::new(File::sync_data));
        assert!(length() < before);
        assert!(vault.key(gone.id).unwrap().is_none());
        assert_eq!(vault.key(kept.id).unwrap().unwrap().key, kept.key);
        assert_ne!(vault.key_of(&demo(), &[1; 32]).unwrap().id, gone.id);
    }
}
