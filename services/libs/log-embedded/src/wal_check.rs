//! A look at SQLite's write-ahead log before SQLite opens it.
//!
//! The file is a chain of frames, a page each, whose checksums build on one
//! another; SQLite drops everything from the first bad frame on and says
//! nothing. Where a process or the power failed that is right for the one
//! transaction that was not synced. Anything more is damage, and refused here.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use tradewind_ports::LogError;

use crate::damage::{damaged, from_io};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Its last bit tells how the checksums read the bytes.
const MAGIC: u32 = 0x377f_0682;

/// A sound write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// What an unfinished transaction left at the end; SQLite will cut it.
    pub(crate) torn_bytes: u64,
}

/// Walks the frames.
///
/// # Errors
///
/// `Damaged` if SQLite would drop what was committed.
pub(crate) fn check(path: &Path) -> Result<Tail, LogError> {
    match File::open(path) {
        Ok(file) => walk(BufReader::with_capacity(1 << 20, file), path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Tail::default()),
        Err(error) => Err(from_io(&error, path)),
    }
}

fn walk(mut file: impl Read, path: &Path) -> Result<Tail, LogError> {
    let failed = |error: io::Error| from_io(&error, path);
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut file, &mut header).map_err(failed)? {
        return Ok(Tail::default());
    }
    let reads_big_endian = word(&header, 0) & 1 == 1;
    let page_bytes = word(&header, 8) as usize;
    let mut sums = sum(reads_big_endian, &header[..24], (0, 0));
    let is_header = word(&header, 0) & !1 == MAGIC
        && (512..=65_536).contains(&page_bytes)
        && page_bytes.is_power_of_two()
        && sums == (word(&header, 24), word(&header, 28));
    if !is_header {
        return if is_unwritten(&header, &mut file).map_err(failed)? {
            Ok(Tail::default())
        } else {
            Err(damaged(format!(
                "{}, byte 0: the header is not what was written; SQLite would drop all that is behind it",
                path.display()
            )))
        };
    }

    let salt = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    let mut at = HEADER_BYTES as u64;
    let mut committed_until = at;
    let mut written_until = at;
    let mut cut = None;
    let mut commits_behind = 0;
    while fill(&mut file, &mut frame).map_err(failed)? {
        let begin = at;
        at += frame.len() as u64;
        let is_of_this_generation = &frame[8..16] == salt;
        let is_commit = word(&frame, 4) != 0;
        if cut.is_none() {
            let page = &frame[FRAME_HEADER_BYTES..];
            let next = sum(reads_big_endian, page, sum(reads_big_endian, &frame[..8], sums));
            if is_of_this_generation && word(&frame, 0) != 0 && next == (word(&frame, 16), word(&frame, 20)) {
                sums = next;
                written_until = at;
                if is_commit {
                    committed_until = at;
                }
                continue;
            }
            cut = Some(begin);
        }
        if is_of_this_generation {
            written_until = at;
            commits_behind += u32::from(is_commit);
        }
    }
    // The last transaction alone can be unsynced, so one commit behind the cut is it.
    if let Some(cut) = cut
        && commits_behind >= 2
    {
        let place = format!("{}, byte {cut}", path.display());
        return Err(damaged(format!(
            "{place}: {commits_behind} committed transactions lie behind a frame that is not what was written"
        )));
    }
    Ok(Tail { torn_bytes: written_until - committed_until })
}

/// Nothing but zeros, or nothing behind a header that was never finished.
fn is_unwritten(header: &[u8], rest: &mut impl Read) -> io::Result<bool> {
    let mut bytes = [0; 4096];
    let mut is_empty = true;
    let mut is_zero = header.iter().all(|byte| *byte == 0);
    loop {
        let read = rest.read(&mut bytes)?;
        if read == 0 {
            return Ok(is_empty || is_zero);
        }
        is_empty = false;
        is_zero = is_zero && bytes[..read].iter().all(|byte| *byte == 0);
    }
}

/// Fills the buffer; false if the file ends before.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// SQLite's running checksum over pairs of words.
fn sum(reads_big_endian: bool, bytes: &[u8], mut sums: (u32, u32)) -> (u32, u32) {
    let read = if reads_big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    let (pairs, _) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in pairs {
        sums.0 = sums.0.wrapping_add(read([*a, *b, *c, *d])).wrapping_add(sums.1);
        sums.1 = sums.1.wrapping_add(read([*e, *f, *g, *h])).wrapping_add(sums.0);
    }
    sums
}
