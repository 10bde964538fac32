//! What can be wrong with a record.

use std::fmt;

/// The record can't be read. A partition that holds it stops: nothing is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A newer release wrote it, for readers of at least this level: upgrade.
    NewerReader { needed: u32 },
    /// A header is missing or holds something else.
    Header { name: &'static str, expected: &'static str, got: String },
    /// A tombstone where none may be.
    NoValue { message: &'static str },
    /// The value is not an encoded message at all.
    Malformed { message: &'static str, reason: String },
    /// A field does not hold what it must.
    Field { message: &'static str, path: Box<str>, expected: &'static str, got: Box<str> },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::NewerReader { needed } => {
                write!(formatter, "read a newer record: it needs a release of reader level {needed}")
            }
            DecodeError::Header { name, expected, got } => {
                write!(formatter, "read a header: expected {expected} in {name}, got {got}")
            }
            DecodeError::NoValue { message } => write!(formatter, "read {message}: expected a value, got a tombstone"),
            DecodeError::Malformed { message, reason } => {
                write!(formatter, "read {message}: expected a protobuf message, got bytes that are none: {reason}")
            }
            DecodeError::Field { message, path, expected, got } => {
                write!(formatter, "read {message}: expected {expected} in {path}, got {got}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// A field that does not hold what it must; its path grows on the way out.
#[derive(Debug)]
pub(crate) struct Mismatch {
    path: String,
    expected: &'static str,
    got: String,
}

impl Mismatch {
    pub(crate) fn new(expected: &'static str, got: impl fmt::Display) -> Mismatch {
        Mismatch { path: String::new(), expected, got: got.to_string() }
    }

    /// `text` is quoted, and cut where it is long.
    pub(crate) fn text(expected: &'static str, text: &str) -> Mismatch {
        Mismatch { path: String::new(), expected, got: quoted(text) }
    }

    pub(crate) fn within(mut self, outer: impl fmt::Display) -> Mismatch {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{outer}{separator}{}", self.path);
        self
    }

    pub(crate) fn of(self, message: &'static str) -> DecodeError {
        DecodeError::Field { message, path: self.path.into(), expected: self.expected, got: self.got.into() }
    }
}

/// For error messages.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
