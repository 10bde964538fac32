//! The vault file and the copy of the keys' topic: a header, then frames, each one write.
//!
//! ```text
//! header  "TWVAULT1", of a copy "TWKEYS01" ‖ check of the installation key (16) ‖ CRC32C of both
//! frame   length of the payload ‖ CRC32C of the payload ‖ CRC32C of these eight bytes ‖ payload
//! payload entries: kind (1) ‖ length (2) ‖ bytes; kind 1 is a KeyEntry, kind 2 the id of an erased key,
//!         kind 3, in a copy, how far the topic was read
//! ```
//!
//! Numbers are big-endian. Nothing is written behind a frame before it is synced,
//! so a frame that is not whole was never acknowledged exactly if it is the last
//! one and looks unwritten: it ends early, or a sector of it is still zero.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use tradewind_domain::KeyId;
use tradewind_wire::vault::{self, KeyEntry};

pub(crate) const HEADER_BYTES: usize = 28;

const HEAD_BYTES: usize = 12;
const ENTRY_HEAD_BYTES: usize = 3;
const KEY: u8 = 1;
const ERASED: u8 = 2;
const MARK: u8 = 3;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The only place where its keys are.
    Vault,
    /// What a process has read of the keys' topic.
    Copy,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Kind::Vault => b"TWVAULT1",
            Kind::Copy => b"TWKEYS01",
        }
    }
}

/// What was cut off the end of a vault: a write that nobody was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub offset: u64,
    pub bytes: u64,
}

/// Where an entry's bytes lie: they are read when they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u16,
}

#[derive(Debug)]
pub(crate) enum Entry<'a> {
    Key { place: Place, bytes: &'a [u8] },
    Erased(KeyId),
    Mark { place: Place, bytes: &'a [u8] },
}

#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    Damaged { offset: u64, what: String },
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// How far a scan got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Behind the last whole frame.
    pub(crate) end: u64,
    /// What lies behind it.
    pub(crate) torn_bytes: u64,
}

pub(crate) fn header(kind: Kind, check: [u8; 16]) -> Vec<u8> {
    let mut header = [&kind.magic()[..], &check].concat();
    header.extend(crc32c::crc32c(&header).to_be_bytes());
    header
}

/// The check in the header.
pub(crate) fn read_header(file: &mut File, kind: Kind) -> Result<[u8; 16], Fault> {
    let damaged = |what: &str| Fault::Damaged { offset: 0, what: what.into() };
    let mut header = [0; HEADER_BYTES];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut header).map_err(|error| {
        let is_short = error.kind() == io::ErrorKind::UnexpectedEof;
        if is_short { damaged("expected the header of a vault, got a shorter file") } else { Fault::Io(error) }
    })?;
    let (body, crc) = header.split_at(HEADER_BYTES - 4);
    if &body[..8] != kind.magic() || crc32c::crc32c(body).to_be_bytes() != crc {
        return Err(damaged("expected the header of a vault, got something else"));
    }
    Ok(body[8..].try_into().expect("16 bytes"))
}

/// Collects entries into one frame.
#[derive(Debug, Default)]
pub(crate) struct FrameWriter {
    payload: Vec<u8>,
    places: Vec<Place>,
}

impl FrameWriter {
    pub(crate) fn push_key(&mut self, entry: &KeyEntry) {
        self.push_key_bytes(&vault::encode(entry));
    }

    pub(crate) fn push_key_bytes(&mut self, bytes: &[u8]) {
        let place = self.push(KEY, bytes);
        self.places.push(place);
    }

    pub(crate) fn push_erased(&mut self, id: KeyId) {
        self.push(ERASED, id.as_bytes());
    }

    pub(crate) fn push_mark(&mut self, bytes: &[u8]) {
        self.push(MARK, bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.payload.len()
    }

    /// The frame as it is written at `offset`, and where its keys then lie.
    pub(crate) fn finish(self, offset: u64) -> (Vec<u8>, Vec<Place>) {
        let length = u32::try_from(self.payload.len()).expect("a frame is far below 4 GiB");
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend(crc32c::crc32c(&self.payload).to_be_bytes());
        frame.extend(crc32c::crc32c(&frame).to_be_bytes());
        frame.extend(self.payload);
        let start = offset + HEAD_BYTES as u64;
        let places = self.places.into_iter().map(|place| Place { offset: start + place.offset, ..place });
        (frame, places.collect())
    }

    fn push(&mut self, kind: u8, bytes: &[u8]) -> Place {
        let length = u16::try_from(bytes.len()).expect("an entry holds a name and a key: below 64 KiB");
        self.payload.push(kind);
        self.payload.extend(length.to_be_bytes());
        let place = Place { offset: self.payload.len() as u64, length };
        self.payload.extend(bytes);
        place
    }
}

/// Hands every entry from `from` on to `take`, in order.
pub(crate) fn scan(
    file: &mut File,
    from: u64,
    mut take: impl FnMut(Entry<'_>) -> Result<(), Fault>,
) -> Result<Scanned, Fault> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(from))?;
    let mut reader = io::BufReader::with_capacity(1 << 16, file);
    let mut payload = Vec::new();
    let mut end = from;
    while end < length {
        match read_frame(&mut reader, length - end, &mut payload)? {
            ControlFlow::Continue(()) => {
                entries(&payload, end + HEAD_BYTES as u64, &mut take)?;
                end += (HEAD_BYTES + payload.len()) as u64;
            }
            ControlFlow::Break(what) => {
                let file = reader.into_inner();
                file.seek(SeekFrom::Start(end))?;
                let mut rest = Vec::new();
                // What was appended since counts the next time.
                file.take(length - end).read_to_end(&mut rest)?;
                return if is_torn(&rest, end) {
                    Ok(Scanned { end, torn_bytes: length - end })
                } else {
                    Err(Fault::Damaged { offset: end, what: what.into() })
                };
            }
        }
    }
    Ok(Scanned { end, torn_bytes: 0 })
}

/// One frame into `payload`, or why there is none.
fn read_frame(
    reader: &mut impl io::Read,
    remaining: u64,
    payload: &mut Vec<u8>,
) -> io::Result<ControlFlow<&'static str>> {
    let mut head = [0; HEAD_BYTES];
    if remaining < HEAD_BYTES as u64 {
        return Ok(ControlFlow::Break("expected a frame, got less than the beginning of one"));
    }
    reader.read_exact(&mut head)?;
    let Some((length, crc)) = read_head(&head) else {
        return Ok(ControlFlow::Break("expected the beginning of a frame, got something else"));
    };
    if length > remaining - HEAD_BYTES as u64 {
        return Ok(ControlFlow::Break("expected a frame, got the beginning of one"));
    }
    payload.resize(usize::try_from(length).expect("a frame is far below 4 GiB"), 0);
    reader.read_exact(payload)?;
    Ok(if crc32c::crc32c(payload) == crc {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break("expected the frame that was written, got another checksum")
    })
}

/// Length and checksum of the payload.
fn read_head(head: &[u8]) -> Option<(u64, u32)> {
    let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes"));
    (crc32c::crc32c(&head[..8]) == number(8)).then(|| (u64::from(number(0)), number(4)))
}

/// Whether what lies at `offset`, and is no whole frame, is a write that was torn
/// off: nothing whole follows it, and it ends early or a sector was never written.
fn is_torn(rest: &[u8], offset: u64) -> bool {
    if (1..rest.len()).any(|start| is_frame(&rest[start..])) {
        return false;
    }
    let ends_early = match rest.get(..HEAD_BYTES).map(read_head) {
        None => true,
        Some(Some((length, _))) => length > (rest.len() - HEAD_BYTES) as u64,
        Some(None) => false,
    };
    ends_early || sectors(rest, offset).any(|sector| sector.iter().all(|byte| *byte == 0))
}

fn is_frame(bytes: &[u8]) -> bool {
    let Some(Some((length, crc))) = bytes.get(..HEAD_BYTES).map(read_head) else { return false };
    let payload = usize::try_from(length).ok().and_then(|length| bytes[HEAD_BYTES..].get(..length));
    payload.is_some_and(|payload| crc32c::crc32c(payload) == crc)
}

/// The bytes at `offset`, by the sectors of the file they lie in.
fn sectors(bytes: &[u8], offset: u64) -> impl Iterator<Item = &[u8]> {
    let to_boundary = SECTOR_BYTES - offset % SECTOR_BYTES;
    let first = usize::try_from(to_boundary).map_or(bytes.len(), |first| first.min(bytes.len()));
    let sector = usize::try_from(SECTOR_BYTES).expect("512 fits");
    std::iter::once(&bytes[..first]).chain(bytes[first..].chunks(sector)).filter(|sector| !sector.is_empty())
}

fn entries(payload: &[u8], offset: u64, take: &mut impl FnMut(Entry<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut at = 0;
    while at < payload.len() {
        let broken = |what: &str| Fault::Damaged { offset: offset + at as u64, what: what.into() };
        let head =
            payload.get(at..at + ENTRY_HEAD_BYTES).ok_or_else(|| broken("expected an entry, got a part of one"))?;
        let length = u16::from_be_bytes([head[1], head[2]]);
        let start = at + ENTRY_HEAD_BYTES;
        let bytes = payload
            .get(start..start + usize::from(length))
            .ok_or_else(|| broken("expected an entry, got a part of one"))?;
        let place = Place { offset: offset + start as u64, length };
        take(match head[0] {
            KEY => Entry::Key { place, bytes },
            MARK => Entry::Mark { place, bytes },
            ERASED => Entry::Erased(
                bytes.try_into().map(KeyId::from_bytes).map_err(|_| broken("expected the id of an erased key"))?,
            ),
            kind => {
                return Err(broken(&format!("expected an entry of kind 1 to 3, got {kind}: a newer release wrote it")));
            }
        })?;
        at = start + usize::from(length);
    }
    Ok(())
}

/// Makes the name of a new or renamed file last.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}
