//! What a process has read of the keys' topic, in a file of its own: the vault's
//! frames, each with a mark of how far on the topic it reaches.
//!
//! The topic is the truth, so nothing here is synced but what replaces another
//! file: frames that power loss took are read again, and a file that is damaged
//! is moved aside and read from the topic anew.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tradewind_domain::{KeyId, Timestamp};

use crate::files::{beside, open_file, replace};
use crate::frame::{self, Entry, Fault, FrameWriter, HEADER_BYTES, Kind, Place};
use crate::index::{self, Index, owner_key};
use crate::installation_key::InstallationKey;
use crate::topic::Change;

/// The topic drops a tombstone a day after it has cleaned up behind it; a copy that was not in step for half of that may
/// have missed one.
const OUT_OF_STEP_MS: i64 = 12 * HOUR_MS;
/// A clock that was set back by less is no reason to read everything anew.
const CLOCK_BACK_MS: i64 = HOUR_MS;
/// How long an erased key may stand in the file, wrapped and given to nobody; the topic keeps it as long.
const ERASED_STANDS_MS: i64 = HOUR_MS;
/// How old the mark in the file may get while there is nothing to read.
const MARK_MS: i64 = HOUR_MS;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// How far the topic was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The offset to read on from.
    pub(crate) next: u64,
    /// When nothing lay behind `next`, by the clock of this process.
    pub(crate) in_step_at: Timestamp,
    /// The last record read: its offset and key, by which another log is told apart.
    pub(crate) last: Option<(u64, KeyId)>,
}

impl Mark {
    /// Whether every tombstone behind it is still there to be read.
    pub(crate) fn is_in_step(&self, now: Timestamp) -> bool {
        let age_ms = now.millis() - self.in_step_at.millis();
        (-CLOCK_BACK_MS..=OUT_OF_STEP_MS).contains(&age_ms)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.next.to_be_bytes().to_vec();
        bytes.extend(self.in_step_at.millis().to_be_bytes());
        if let Some((offset, id)) = self.last {
            bytes.extend(offset.to_be_bytes());
            bytes.extend(id.as_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Mark> {
        let eight = |at: usize| bytes.get(at..at + 8).map(|eight| <[u8; 8]>::try_from(eight).expect("eight bytes"));
        let last = match bytes.len() {
            16 => None,
            40 => Some((u64::from_be_bytes(eight(16)?), KeyId::from_bytes(bytes[24..].try_into().ok()?))),
            _ => return None,
        };
        let in_step_at = Timestamp::from_millis(i64::from_be_bytes(eight(8)?));
        Some(Mark { next: u64::from_be_bytes(eight(0)?), in_step_at, last })
    }
}

#[derive(Debug)]
pub(crate) struct TopicCopy {
    path: PathBuf,
    check: [u8; 16],
    pub(crate) file: Arc<File>,
    end: u64,
    pub(crate) index: Index,
    pub(crate) mark: Mark,
    /// The mark in the file.
    marked_at: Timestamp,
    /// Since when a key stands in the file that is erased.
    erased_since: Option<Timestamp>,
}

impl TopicCopy {
    /// An empty copy in the place of the one there may be.
    pub(crate) fn create(path: &Path, with: &InstallationKey, next: u64, now: Timestamp) -> Result<TopicCopy, Fault> {
        let mark = Mark { next, in_step_at: now, last: None };
        let check = with.check();
        let end = write_anew(path, check, &mark, |_| Ok(()))?;
        let file = Arc::new(open_file(path)?);
        let index = Index::default();
        Ok(TopicCopy { path: path.into(), check, file, end, index, mark, marked_at: now, erased_since: None })
    }

    /// The copy as it was left; `None` if it was made with another installation key.
    pub(crate) fn open(path: &Path, with: &InstallationKey, now: Timestamp) -> Result<Option<TopicCopy>, Fault> {
        let mut file = open_file(path)?;
        if frame::read_header(&mut file, Kind::Copy)? != with.check() {
            return Ok(None);
        }
        let (index, mark, end) = read(&mut file)?;
        let mut copy = TopicCopy {
            path: path.into(),
            check: with.check(),
            file: Arc::new(file),
            end,
            index,
            marked_at: mark.in_step_at,
            mark,
            erased_since: None,
        };
        // The process ended before an erased key was gone from the file.
        if !copy.index.erased.is_empty() {
            copy.erased_since = Some(now);
            copy.rewrite()?;
        }
        Ok(Some(copy))
    }

    /// Out of the way, for whoever wants to know what happened to it.
    pub(crate) fn move_aside(path: &Path) -> io::Result<PathBuf> {
        let aside = beside(path, ".damaged");
        std::fs::rename(path, &aside)?;
        frame::sync_directory_of(path)?;
        Ok(aside)
    }

    /// Takes in what was read up to `next`.
    pub(crate) fn take(&mut self, changes: &[(u64, Change)], next: u64, now: Timestamp) -> io::Result<()> {
        let last = changes.last().map(|(offset, change)| (*offset, change.id())).or(self.mark.last);
        self.write(changes, Mark { next, last, ..self.mark })?;
        if self.index.erased.is_empty() {
            self.erased_since = None;
        } else {
            self.erased_since.get_or_insert(now);
        }
        Ok(())
    }

    /// Nothing lay behind the mark at that time.
    pub(crate) fn is_in_step_at(&mut self, now: Timestamp) -> Result<(), Fault> {
        self.mark.in_step_at = now;
        let is_over = |since: Timestamp, ms: i64| now.millis() - since.millis() >= ms;
        if self.erased_since.is_some_and(|since| is_over(since, ERASED_STANDS_MS)) {
            self.rewrite()?;
        } else if is_over(self.marked_at, MARK_MS) {
            self.write(&[], self.mark)?;
        }
        Ok(())
    }

    fn write(&mut self, changes: &[(u64, Change)], mark: Mark) -> io::Result<()> {
        let mut writer = FrameWriter::default();
        for (_, change) in changes {
            match change {
                Change::Made(entry) => writer.push_key(entry),
                Change::Erased(id) => writer.push_erased(*id),
            }
        }
        writer.push_mark(&mark.encode());
        let (frame, places) = writer.finish(self.end);
        if let Err(error) = self.file.write_all_at(&frame, self.end) {
            // What came of it is overwritten by the next frame, or cut when the file is opened.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += frame.len() as u64;
        let mut places = places.into_iter();
        for (_, change) in changes {
            match change {
                Change::Made(entry) => {
                    let place = places.next().expect("each key has a place");
                    self.index.add(entry.id, owner_key(&entry.tenant, &entry.owner), place);
                }
                Change::Erased(id) => self.index.forget(*id),
            }
        }
        (self.mark, self.marked_at) = (mark, mark.in_step_at);
        Ok(())
    }

    /// Puts a file without the erased keys in the place of this one.
    fn rewrite(&mut self) -> Result<(), Fault> {
        let erased: BTreeSet<KeyId> = self.index.erased.iter().copied().collect();
        let mut old = self.file.try_clone()?;
        write_anew(&self.path, self.check, &self.mark, |new| index::copy_without(&mut old, &erased, new))?;
        let mut file = open_file(&self.path)?;
        let (index, mark, end) = read(&mut file)?;
        (self.file, self.end, self.index) = (Arc::new(file), end, index);
        (self.mark, self.marked_at, self.erased_since) = (mark, mark.in_step_at, None);
        Ok(())
    }
}

/// A new file with these entries and this mark; its length.
fn write_anew(
    path: &Path,
    check: [u8; 16],
    mark: &Mark,
    entries: impl FnOnce(&mut File) -> Result<(), Fault>,
) -> Result<u64, Fault> {
    let mut fault = None;
    let mut length = 0;
    let replaced = replace(path, |new| {
        new.write_all(&frame::header(Kind::Copy, check))?;
        if let Err(found) = entries(new) {
            fault = Some(found);
            return Err(io::Error::other("its entries can't be written"));
        }
        let mut writer = FrameWriter::default();
        writer.push_mark(&mark.encode());
        new.write_all(&writer.finish(0).0)?;
        length = new.metadata()?.len();
        Ok(())
    });
    match (fault, replaced) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => Ok(length),
    }
}

/// A file's entries, its last mark and its end; what is torn at the end is cut.
fn read(file: &mut File) -> Result<(Index, Mark, u64), Fault> {
    let mut index = Index::default();
    let mut mark = None;
    let scanned = frame::scan(file, HEADER_BYTES as u64, |entry| {
        match entry {
            Entry::Key { place, bytes } => {
                let entry = index::decode(place, bytes)?;
                index.add(entry.id, owner_key(&entry.tenant, &entry.owner), place);
            }
            Entry::Erased(id) => index.forget(id),
            Entry::Mark { place, bytes } => mark = Some(Mark::decode(bytes).ok_or_else(|| no_mark(place))?),
        }
        Ok(())
    })?;
    if scanned.torn_bytes > 0 {
        file.set_len(scanned.end)?;
    }
    let mark = mark.ok_or_else(|| no_mark(Place { offset: scanned.end, length: 0 }))?;
    Ok((index, mark, scanned.end))
}

fn no_mark(place: Place) -> Fault {
    Fault::Damaged { offset: place.offset, what: "expected how far the topic was read".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_domain::Tenant;

    #[test]
    fn what_could_not_be_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("copy");
        let key = InstallationKey::create(&directory.path().join("key")).unwrap();
        let noon = Timestamp::from_millis(1_800_000_000_000);
        let entry = key.draw(&Tenant::new("demo").unwrap(), &[1; 32], noon).unwrap();
        let id = entry.id;
        let changes = [(6, Change::Made(entry))];
        let mut copy = TopicCopy::create(&path, &key, 5, noon).unwrap();
        let good = std::mem::replace(&mut copy.file, Arc::new(File::open(&path).unwrap()));
        assert!(copy.take(&changes, 7, noon).is_err(), "the file is open for reading only");
        assert_eq!((copy.mark.next, copy.index.of_id(id)), (5, None));
        copy.file = good;
        copy.take(&changes, 7, noon).unwrap();
        let expected = Mark { next: 7, in_step_at: noon, last: Some((6, id)) };
        assert_eq!((copy.mark, copy.index.of_id(id).is_some()), (expected, true));
        // Nothing but what was cleaned away.
        copy.take(&[], 9, noon).unwrap();
        let expected = Mark { next: 9, ..expected };
        let copy = TopicCopy::open(&path, &key, noon).unwrap().expect("the same installation key");
        assert_eq!((copy.mark, copy.index.of_id(id).is_some()), (expected, true));
    }
}
