//! Time as numbers that are passed in, and the place of a step in its partition.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    #[must_use]
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to here; negative if it is later.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Adds milliseconds; stays at the end of time rather than wrap.
impl Add<i64> for Timestamp {
    type Output = Timestamp;

    fn add(self, millis: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(millis))
    }
}

impl Sub<i64> for Timestamp {
    type Output = Timestamp;

    fn sub(self, millis: i64) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}ms", self.0)
    }
}

/// A place between two steps of a partition. Step 0 folds the record at
/// `offset`; steps 1 and on are the wakeups it made due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub offset: u64,
    pub step: u32,
}

impl Position {
    /// The fold of the record at `offset`, or of the next one there is.
    #[must_use]
    pub const fn fold(offset: u64) -> Position {
        Position { offset, step: 0 }
    }

    /// The step after this one, in the same record.
    #[must_use]
    pub const fn next_step(self) -> Position {
        Position { offset: self.offset, step: self.step + 1 }
    }

    /// Where the next record begins.
    #[must_use]
    pub const fn next_record(self) -> Position {
        Position { offset: self.offset + 1, step: 0 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.offset, self.step)
    }
}

impl std::str::FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Position, Self::Err> {
        const EXPECTED: &str = "expected <offset>.<step>, two decimal numbers";
        let (offset, step) = text.split_once('.').ok_or(EXPECTED)?;
        Ok(Position { offset: offset.parse().map_err(|_| EXPECTED)?, step: step.parse().map_err(|_| EXPECTED)? })
    }
}
