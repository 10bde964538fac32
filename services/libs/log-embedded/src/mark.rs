//! The mark: the number of the last commit that was acknowledged, in a file of
//! its own. It is written after the commit and never synced, so it is never
//! ahead of the log; a log that ends before it has lost something.
//!
//! Layout: commit number (`u64`), the first four bytes of the log's lineage,
//! CRC32C of both (`u32`); little-endian. It fits into one sector, so it is
//! never torn.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use tradewind_ports::LogError;

use crate::checksum::Checksum;
use crate::damage::from_io;
use crate::directory::{Directory, FILE_MODE};

const BYTES: usize = 16;

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) commits: u64,
    pub(crate) lineage: [u8; 4],
}

impl Marked {
    fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.commits.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.lineage);
        bytes[12..].copy_from_slice(&self.checksum().to_le_bytes());
        bytes
    }

    fn checksum(self) -> u32 {
        Checksum::of("mark").number(self.commits).bytes(&self.lineage).value_u32()
    }
}

/// The mark as it lies there. `None` if it was never written, or made just
/// before the power failed.
pub(crate) fn read(directory: &Directory) -> Result<Option<Marked>, LogError> {
    let path = directory.mark();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(from_io(&error, &path)),
    };
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let marked = decode(&bytes).filter(|marked| marked.encode() == bytes.as_slice());
    marked.map(Some).ok_or_else(|| LogError::Damaged {
        at: format!("{}, byte 0", path.display()),
        remedy: "the log itself may be whole: delete this file, and compare the log with a backup".into(),
    })
}

fn decode(bytes: &[u8]) -> Option<Marked> {
    let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
    let (commits, rest) = bytes.split_first_chunk::<8>()?;
    let (lineage, _) = rest.split_first_chunk::<4>()?;
    Some(Marked { commits: u64::from_le_bytes(*commits), lineage: *lineage })
}

/// The mark of the one who writes it.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    lineage: [u8; 4],
}

impl Mark {
    /// Opens the file, or makes it. What it said was compared with the log before.
    pub(crate) fn open(directory: &Directory, marked: Marked) -> Result<Mark, LogError> {
        let path = directory.mark();
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
        let mark = Mark { file: opened.map_err(|error| from_io(&error, &path))?, lineage: marked.lineage };
        mark.write(marked.commits).map_err(|error| from_io(&error, &path))?;
        Ok(mark)
    }

    pub(crate) fn write(&self, commits: u64) -> io::Result<()> {
        self.file.write_all_at(&Marked { commits, lineage: self.lineage }.encode(), 0)
    }
}
