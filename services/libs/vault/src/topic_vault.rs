//! The vault of an installation with more than one process: keys live on the topic
//! `tradewind.keys`, wrapped, and each process holds a copy of it in a file.
//!
//! - A key is acknowledged on the topic before anybody gets it.
//! - Two processes may make a key for one owner at the same time. Both are kept, and
//!   all seal with the one that is first on the topic and not erased.
//! - A tombstone erases a key for every process as soon as it has read it, and from
//!   the files within an hour.
//!
//! Calls from many threads share their requests: whoever comes while one of them
//! talks to the log waits, and then one of them asks for all. Such a *round* reads
//! the topic to its end, makes the keys that are still missing, and reads them back.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};

use tradewind_domain::{Digest, KeyId, Tenant, Timestamp};
use tradewind_ports::{Bounds, Clock, EventLog, KeyVault, NewRecord, SealingKey, VaultError};
use tradewind_wire::vault;

use crate::copy::TopicCopy;
use crate::files::lock;
use crate::frame::{Fault, Place};
use crate::index::{self, Index, OwnerKey, key_at, owner_key, told};
use crate::installation_key::InstallationKey;
use crate::topic::{KeysTopic, Trouble};

/// How often an owner's keys may change under a call that makes or erases one.
const TRIES: u32 = 8;

/// One object a process; share it among threads.
pub struct TopicVault {
    topic: KeysTopic,
    path: PathBuf,
    installation_key: InstallationKey,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    round_over: Condvar,
    /// Held as long as this process writes the copy.
    _lock: File,
}

/// A vault, and why the topic had to be read from its start.
#[derive(Debug)]
pub struct Followed {
    pub vault: TopicVault,
    pub rebuilt: Option<Rebuilt>,
}

/// Why a process's copy was read from the topic anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// There was none.
    Missing,
    /// It is not what was written, and lies aside now.
    Damaged { aside: PathBuf, reason: String },
    /// It was not in step for so long that a tombstone may have passed unseen.
    OutOfStep,
}

struct State {
    copy: TopicCopy,
    /// Read the topic from its start, whatever the copy says.
    is_stale: bool,
    /// The copy was found damaged before, while this process ran.
    was_healed: bool,
    /// Owners that need a key, for the round that forms.
    wanted: BTreeMap<OwnerKey, (Tenant, Digest)>,
    forming: Arc<Round>,
    is_running: bool,
}

/// What became of one round, for all who took part in it.
#[derive(Debug, Default)]
struct Round(OnceLock<Result<(), Trouble>>);

impl TopicVault {
    /// Follows the topic to its end, from where the copy at `path` stands.
    ///
    /// # Errors
    ///
    /// The log does not answer; it is not the one the copy was read from; its keys were wrapped
    /// with another installation key; or another process has the copy.
    pub fn open(
        log: Arc<dyn EventLog>,
        path: &Path,
        installation_key: InstallationKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Followed, VaultError> {
        let lock = lock(path)?;
        let now = clock.now();
        let (found, mut rebuilt) = open_copy(path, &installation_key, now)?;
        let (copy, is_stale) = match found {
            Some(copy) => (copy, false),
            None => (TopicCopy::create(path, &installation_key, 0, now).map_err(|fault| told(path, fault))?, true),
        };
        let is_out_of_step = !copy.mark.is_in_step(now);
        if is_out_of_step && rebuilt.is_none() {
            rebuilt = Some(Rebuilt::OutOfStep);
        }
        let state = State {
            copy,
            is_stale,
            was_healed: false,
            wanted: BTreeMap::new(),
            forming: Arc::default(),
            is_running: false,
        };
        let vault = TopicVault {
            topic: KeysTopic::new(log),
            path: path.into(),
            installation_key,
            clock,
            state: Mutex::new(state),
            round_over: Condvar::new(),
            _lock: lock,
        };
        let last = vault.state().copy.mark.last;
        if let Some((offset, id)) = last {
            vault.topic.check_record(offset, id, path)?;
        }
        vault.follow()?;
        vault.check_installation_key()?;
        Ok(Followed { vault, rebuilt })
    }

    /// Takes in what others have done. To be called about once a second: an erased key is given
    /// out until then.
    ///
    /// # Errors
    ///
    /// See [`VaultError`].
    pub fn follow(&self) -> Result<(), VaultError> {
        self.take_part(self.state()).map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the vault")
    }

    /// Waits for the next round to begin and end, or runs it.
    fn take_part<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, VaultError> {
        let round = state.forming.clone();
        loop {
            if let Some(outcome) = round.0.get() {
                return outcome.clone().map(|()| state).map_err(VaultError::from);
            }
            state = if state.is_running {
                self.round_over.wait(state).expect("nothing panics while it holds the vault")
            } else {
                self.run(state)
            };
        }
    }

    /// Runs the round that has formed; the lock is free meanwhile.
    fn run<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let round = std::mem::take(&mut state.forming);
        let wanted = std::mem::take(&mut state.wanted);
        state.is_running = true;
        drop(state);
        let outcome = self.catch_up().and_then(|()| self.make(wanted));
        let mut state = self.state();
        state.is_running = false;
        round.0.set(outcome).expect("one thread runs a round");
        self.round_over.notify_all();
        state
    }

    /// Makes a key for those who have none yet, and reads back what is first on the topic.
    fn make(&self, wanted: BTreeMap<OwnerKey, (Tenant, Digest)>) -> Result<(), Trouble> {
        let missing: Vec<(Tenant, Digest)> = {
            let state = self.state();
            let has_none = |owner: &OwnerKey| state.copy.index.of_owner(owner).is_none();
            wanted.into_iter().filter(|(owner, _)| has_none(owner)).map(|(_, names)| names).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let draw = |(tenant, owner): &(Tenant, Digest)| self.installation_key.draw(tenant, owner, now);
        let entries = missing.iter().map(draw).collect::<Result<Vec<_>, _>>()?;
        self.topic.append(entries.iter().map(vault::record).collect())?;
        self.catch_up()
    }

    /// Reads the topic to its end.
    fn catch_up(&self) -> Result<(), Trouble> {
        let now = self.clock.now();
        let (mark, is_anew) = {
            let state = self.state();
            (state.copy.mark, state.is_stale || !state.copy.mark.is_in_step(now))
        };
        let Bounds { start, end } = self.topic.bounds(mark.next, &self.path)?;
        if is_anew {
            return self.rebuild(start, end, now);
        }
        let take =
            |changes: &[_], next| self.state().copy.take(changes, next, now).map_err(|error| self.trouble(error));
        self.topic.read(mark.next, end, take)?;
        self.state().copy.is_in_step_at(now).map_err(|fault| self.trouble(fault))
    }

    /// Reads the topic from its start, into a copy in the place of the one there is. Until that is whole,
    /// the old one serves.
    fn rebuild(&self, start: u64, end: u64, now: Timestamp) -> Result<(), Trouble> {
        let fresh = TopicCopy::create(&self.path, &self.installation_key, start, now);
        let mut copy = fresh.map_err(|fault| self.trouble(fault))?;
        let take = |changes: &[_], next| copy.take(changes, next, now).map_err(|error| self.trouble(error));
        self.topic.read(start, end, take)?;
        copy.is_in_step_at(now).map_err(|fault| self.trouble(fault))?;
        let mut state = self.state();
        (state.copy, state.is_stale) = (copy, false);
        Ok(())
    }

    fn check_installation_key(&self) -> Result<(), VaultError> {
        let state = self.state();
        let Some(first) = state.copy.index.first() else { return Ok(()) };
        match key_at(&state.copy.file, first, &self.installation_key) {
            Ok(_) => Ok(()),
            Err(Fault::Io(error)) => Err(told(&self.path, error.into())),
            Err(Fault::Damaged { .. }) => Err(VaultError::Unavailable {
                reason: format!(
                    "the keys on {} were wrapped with another installation key: mount the one they were made with",
                    self.topic.at
                ),
            }),
        }
    }

    /// The key that `find` finds, unwrapped. A copy that was damaged since it was opened is read from the
    /// topic anew, once.
    fn give<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        find: impl Fn(&Index) -> Option<Place>,
    ) -> Result<Option<(Place, SealingKey)>, VaultError> {
        loop {
            let Some(place) = find(&state.copy.index) else { return Ok(None) };
            let file = state.copy.file.clone();
            drop(state);
            let fault = match key_at(&file, place, &self.installation_key) {
                Ok(key) => return Ok(Some((place, key))),
                Err(fault) => fault,
            };
            state = self.state();
            if matches!(fault, Fault::Io(_)) || state.was_healed {
                return Err(told(&self.path, fault));
            }
            TopicCopy::move_aside(&self.path).map_err(|error| told(&self.path, error.into()))?;
            (state.is_stale, state.was_healed) = (true, true);
            state = self.take_part(state)?;
        }
    }

    /// The records that erase an owner's keys.
    fn tombstones(&self, state: &State, tenant: &Tenant, owner: &Digest) -> Result<Vec<NewRecord>, VaultError> {
        let places = state.copy.index.all_of_owner(&owner_key(tenant, owner));
        let tombstone = |place| {
            let entry = index::entry_at(&state.copy.file, place)?;
            Ok(NewRecord { value: None, ..vault::record(&entry) })
        };
        places.into_iter().map(tombstone).collect::<Result<_, _>>().map_err(|fault| told(&self.path, fault))
    }

    fn trouble(&self, fault: impl Into<Fault>) -> Trouble {
        told(&self.path, fault.into()).into()
    }
}

impl KeyVault for TopicVault {
    fn key_of(&self, tenant: &Tenant, owner: &Digest) -> Result<SealingKey, VaultError> {
        let owner_key = owner_key(tenant, owner);
        let mut state = self.state();
        for _ in 0..TRIES {
            if let Some(key) = state.copy.index.given(&owner_key) {
                return Ok(key);
            }
            if state.copy.index.of_owner(&owner_key).is_some() {
                if let Some((place, key)) = self.give(state, |index| index.of_owner(&owner_key))? {
                    self.state().copy.index.note(owner_key, place, &key);
                    return Ok(key);
                }
                state = self.state();
            }
            state.wanted.insert(owner_key, (tenant.clone(), *owner));
            state = self.take_part(state)?;
        }
        Err(VaultError::Unavailable { reason: format!("the keys of an owner were erased {TRIES} times meanwhile") })
    }

    fn at_hand(&self, tenant: &Tenant, owner: &Digest) -> Option<SealingKey> {
        self.state.try_lock().ok()?.copy.index.given(&owner_key(tenant, owner))
    }

    /// A key that is not known is looked for on the topic: who reads a sealed field may be ahead of the copy.
    fn key(&self, id: KeyId) -> Result<Option<SealingKey>, VaultError> {
        let mut state = self.state();
        if state.copy.index.of_id(id).is_none() {
            state = self.take_part(state)?;
        }
        Ok(self.give(state, |index| index.of_id(id))?.map(|(_, key)| key))
    }

    /// Every key that is on the topic by the time its tombstones are acknowledged.
    fn erase(&self, tenant: &Tenant, owner: &Digest) -> Result<u32, VaultError> {
        let mut erased = 0;
        for _ in 0..TRIES {
            let state = self.take_part(self.state())?;
            let tombstones = self.tombstones(&state, tenant, owner)?;
            drop(state);
            if tombstones.is_empty() {
                return Ok(erased);
            }
            erased += u32::try_from(tombstones.len()).expect("an owner has few keys");
            self.topic.append(tombstones)?;
        }
        Err(VaultError::Unavailable { reason: format!("keys of an owner were made {TRIES} times meanwhile") })
    }
}

impl fmt::Debug for TopicVault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TopicVault({}, {})", self.topic.at, self.path.display())
    }
}

/// The copy at `path`, unless it is missing or damaged.
fn open_copy(
    path: &Path,
    with: &InstallationKey,
    now: Timestamp,
) -> Result<(Option<TopicCopy>, Option<Rebuilt>), VaultError> {
    match TopicCopy::open(path, with, now) {
        Ok(Some(copy)) => Ok((Some(copy), None)),
        Ok(None) => Err(index::made_with_another_key(path)),
        Err(Fault::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok((None, Some(Rebuilt::Missing))),
        Err(Fault::Io(error)) => Err(told(path, error.into())),
        Err(fault @ Fault::Damaged { .. }) => {
            let reason = told(path, fault).to_string();
            let aside = TopicCopy::move_aside(path).map_err(|error| told(path, error.into()))?;
            Ok((None, Some(Rebuilt::Damaged { aside, reason })))
        }
    }
}
