//! A file system in memory that forgets: bytes that were not synced, and names
//! whose directory was not, are lost when the power fails. One flat directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, FileAttr, FileType, Filesystem, MountOption, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow,
};

use crate::work::Dice;

const SECTOR_BYTES: usize = 512;

/// Nothing is to be remembered by the kernel but the bytes themselves.
const NEVER: Duration = Duration::ZERO;

/// What is left of the bytes that were not synced when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    Lost,
    /// Each sector by the throw of a coin.
    ByCoin,
}

/// What goes wrong with the next call it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The power fails as the next sync begins.
    PowerFailsAtSync(Unsynced),
    /// Syncs fail.
    SyncFails,
    /// There is no room for what makes a file longer.
    Full,
}

/// A disk; clones are the same one.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

struct State {
    files: BTreeMap<u64, File>,
    names: BTreeMap<String, u64>,
    /// The names that a power failure leaves.
    durable_names: BTreeMap<String, u64>,
    has_power: bool,
    trouble: Option<Trouble>,
    dice: Dice,
}

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// Whether this machine can mount one: the tests of power failures need it.
///
/// Prints why not; on CI that is a failure.
pub(crate) fn is_available() -> bool {
    let directory = tempfile::TempDir::new().expect("a directory");
    let reason = match Disk::new(1).mount(directory.path()) {
        Ok(_) => return true,
        Err(error) => format!(
            "power failures are not tested, as no file system can be mounted: {error}; \
             install the package fuse3, and give a container /dev/fuse and the right to mount"
        ),
    };
    assert!(std::env::var("CI").is_err(), "{reason}");
    eprintln!("skipped: {reason}");
    false
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Disk {
        let state = State {
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            has_power: true,
            trouble: None,
            dice: Dice(seed),
        };
        Disk(Arc::new(Mutex::new(state)))
    }

    /// Mounted until the session is dropped.
    pub(crate) fn mount(&self, directory: &Path) -> io::Result<BackgroundSession> {
        fuser::spawn_mount2(self.clone(), directory, &[MountOption::FSName("forgetful".into())])
    }

    pub(crate) fn set_trouble(&self, trouble: Option<Trouble>) {
        self.state().trouble = trouble;
    }

    pub(crate) fn has_power(&self) -> bool {
        self.state().has_power
    }

    pub(crate) fn cut_power(&self, unsynced: Unsynced) {
        self.state().cut_power(unsynced);
    }

    /// Writes what the power failure left.
    pub(crate) fn copy_to(&self, directory: &Path) {
        let state = self.state();
        for (name, file) in &state.durable_names {
            std::fs::write(directory.join(name), &state.files[file].durable).expect("a copy");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no thread panics while it holds the disk")
    }
}

impl State {
    fn cut_power(&mut self, unsynced: Unsynced) {
        self.has_power = false;
        for file in self.files.values_mut() {
            for change in std::mem::take(&mut file.unsynced) {
                for part in change.sectors() {
                    if unsynced == Unsynced::ByCoin && self.dice.roll(2) == 0 {
                        part.apply(&mut file.durable);
                    }
                }
            }
        }
    }

    fn attributes(&self, node: u64) -> Option<FileAttr> {
        let (kind, size) = match self.files.get(&node) {
            Some(file) => (FileType::RegularFile, file.bytes.len() as u64),
            None if node == fuser::FUSE_ROOT_ID => (FileType::Directory, 0),
            None => return None,
        };
        let time = SystemTime::UNIX_EPOCH;
        Some(FileAttr {
            ino: node,
            size,
            blocks: size.div_ceil(SECTOR_BYTES as u64),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm: 0o777,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn change(&mut self, node: u64, change: Change) -> Result<(), i32> {
        let file = self.files.get_mut(&node).ok_or(libc::ENOENT)?;
        if self.trouble == Some(Trouble::Full) && change.end() > file.bytes.len() {
            return Err(libc::ENOSPC);
        }
        change.clone().apply(&mut file.bytes);
        file.unsynced.push(change);
        Ok(())
    }

    fn sync(&mut self, node: u64) -> Result<(), i32> {
        match self.trouble {
            Some(Trouble::PowerFailsAtSync(unsynced)) => {
                self.cut_power(unsynced);
                return Err(libc::EIO);
            }
            Some(Trouble::SyncFails) => return Err(libc::EIO),
            Some(Trouble::Full) | None => {}
        }
        let file = self.files.get_mut(&node).ok_or(libc::ENOENT)?;
        for change in std::mem::take(&mut file.unsynced) {
            change.apply(&mut file.durable);
        }
        Ok(())
    }
}

impl Change {
    fn end(&self) -> usize {
        match self {
            Change::Write { at, bytes } => at + bytes.len(),
            Change::Length(length) => *length,
        }
    }

    fn apply(self, file: &mut Vec<u8>) {
        let end = self.end();
        match self {
            Change::Write { at, bytes } => {
                file.resize(file.len().max(end), 0);
                file[at..end].copy_from_slice(&bytes);
            }
            Change::Length(length) => file.resize(length, 0),
        }
    }

    /// The parts that reach the disk each by itself.
    fn sectors(self) -> Vec<Change> {
        let Change::Write { at, bytes } = self else {
            return vec![self];
        };
        let mut sectors = Vec::new();
        let (mut at, mut rest) = (at, bytes.as_slice());
        while !rest.is_empty() {
            let (sector, behind) = rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
            sectors.push(Change::Write { at, bytes: sector.to_vec() });
            at += sector.len();
            rest = behind;
        }
        sectors
    }
}

impl Disk {
    /// One call; none is answered without power.
    fn call<T>(&self, call: impl FnOnce(&mut State) -> Result<T, i32>) -> Result<T, i32> {
        let mut state = self.state();
        if state.has_power { call(&mut state) } else { Err(libc::EIO) }
    }
}

fn text(name: &OsStr) -> String {
    name.to_str().expect("a name that is text").into()
}

fn place(offset: i64) -> usize {
    usize::try_from(offset).expect("a place in a file")
}

impl Filesystem for Disk {
    fn lookup(&mut self, _: &Request<'_>, _parent: u64, name: &OsStr, reply: ReplyEntry) {
        let found = self.call(|state| {
            let node = state.names.get(&text(name)).ok_or(libc::ENOENT)?;
            state.attributes(*node).ok_or(libc::ENOENT)
        });
        match found {
            Ok(attributes) => reply.entry(&NEVER, &attributes, 0),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&mut self, _: &Request<'_>, node: u64, _handle: Option<u64>, reply: ReplyAttr) {
        match self.call(|state| state.attributes(node).ok_or(libc::ENOENT)) {
            Ok(attributes) => reply.attr(&NEVER, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &mut self,
        _: &Request<'_>,
        node: u64,
        _mode: Option<u32>,
        _user: Option<u32>,
        _group: Option<u32>,
        size: Option<u64>,
        _accessed: Option<TimeOrNow>,
        _modified: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        _handle: Option<u64>,
        _created: Option<SystemTime>,
        _changed_back: Option<SystemTime>,
        _backed_up: Option<SystemTime>,
        _flags: Option<u32>,
        reply: ReplyAttr,
    ) {
        let set = self.call(|state| {
            if let Some(size) = size {
                state.change(node, Change::Length(usize::try_from(size).expect("a length in memory")))?;
            }
            state.attributes(node).ok_or(libc::ENOENT)
        });
        match set {
            Ok(attributes) => reply.attr(&NEVER, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &mut self,
        _: &Request<'_>,
        _parent: u64,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let created = self.call(|state| {
            let node = state.files.keys().next_back().copied().unwrap_or(fuser::FUSE_ROOT_ID) + 1;
            state.files.insert(node, File::default());
            state.names.insert(text(name), node);
            state.attributes(node).ok_or(libc::ENOENT)
        });
        match created {
            Ok(attributes) => reply.created(&NEVER, &attributes, 0, 0, 0),
            Err(error) => reply.error(error),
        }
    }

    fn open(&mut self, _: &Request<'_>, _node: u64, _flags: i32, reply: ReplyOpen) {
        match self.call(|_| Ok(())) {
            // The index of the WAL is mapped into memory: the kernel keeps its pages.
            Ok(()) => reply.opened(0, fuser::consts::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &mut self,
        _: &Request<'_>,
        node: u64,
        _handle: u64,
        offset: i64,
        size: u32,
        _flags: i32,
        _owner: Option<u64>,
        reply: ReplyData,
    ) {
        let read = self.call(|state| {
            let bytes = &state.files.get(&node).ok_or(libc::ENOENT)?.bytes;
            let begin = place(offset).min(bytes.len());
            let end = bytes.len().min(begin + size as usize);
            Ok(bytes[begin..end].to_vec())
        });
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &mut self,
        _: &Request<'_>,
        node: u64,
        _handle: u64,
        offset: i64,
        bytes: &[u8],
        _write_flags: u32,
        _flags: i32,
        _owner: Option<u64>,
        reply: ReplyWrite,
    ) {
        let change = Change::Write { at: place(offset), bytes: bytes.to_vec() };
        match self.call(|state| state.change(node, change)) {
            Ok(()) => reply.written(u32::try_from(bytes.len()).expect("the length of a write")),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&mut self, _: &Request<'_>, node: u64, _handle: u64, _only_bytes: bool, reply: ReplyEmpty) {
        answer(self.call(|state| state.sync(node)), reply);
    }

    fn fsyncdir(&mut self, _: &Request<'_>, _node: u64, _handle: u64, _only_bytes: bool, reply: ReplyEmpty) {
        let synced = self.call(|state| {
            state.durable_names.clone_from(&state.names);
            Ok(())
        });
        answer(synced, reply);
    }

    fn unlink(&mut self, _: &Request<'_>, _parent: u64, name: &OsStr, reply: ReplyEmpty) {
        answer(self.call(|state| state.names.remove(&text(name)).map(drop).ok_or(libc::ENOENT)), reply);
    }

    fn rename(
        &mut self,
        _: &Request<'_>,
        _parent: u64,
        name: &OsStr,
        _new_parent: u64,
        new_name: &OsStr,
        _flags: u32,
        reply: ReplyEmpty,
    ) {
        let renamed = self.call(|state| {
            let node = state.names.remove(&text(name)).ok_or(libc::ENOENT)?;
            state.names.insert(text(new_name), node);
            Ok(())
        });
        answer(renamed, reply);
    }

    fn readdir(&mut self, _: &Request<'_>, _node: u64, _handle: u64, offset: i64, mut reply: ReplyDirectory) {
        let names = self.call(|state| Ok(state.names.clone()));
        match names {
            Ok(names) => {
                for (index, (name, node)) in names.iter().enumerate().skip(place(offset)) {
                    let next = i64::try_from(index + 1).expect("few files");
                    if reply.add(*node, next, FileType::RegularFile, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }
}

fn answer(result: Result<(), i32>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}
