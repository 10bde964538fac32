//! The way out: the next request of a command, or what became of it.

use std::fmt;

use tradewind_domain::{Capability, Command, Name, OutcomeState, Timestamp};

use crate::draft::Personal;

/// A command with what the actuator opened for it, at the rim.
#[derive(Clone, Copy)]
pub struct OpenCommand<'a> {
    pub command: &'a Command,
    /// Where the customer is reached.
    pub contact: Option<&'a str>,
    pub first_name: Option<&'a str>,
    pub recovery_url: Option<&'a str>,
}

impl fmt::Debug for OpenCommand<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OpenCommand({})", self.command.id)
    }
}

/// What came of one request of this attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub step: u32,
    /// When it came, or when we stopped waiting, by the actuator's clock.
    pub at: Timestamp,
    pub answer: Answer,
}

#[derive(Clone, PartialEq)]
pub enum Answer {
    Received {
        status: u16,
        /// Names in lower case.
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// A byte may have left and nothing came back: it may have happened.
    Lost,
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Received { status, body, .. } => write!(formatter, "Received({status}, {} bytes)", body.len()),
            Answer::Lost => formatter.write_str("Lost"),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    Request { step: u32, effect: Effect, request: Request },
    Verdict(Verdict),
}

/// What sending a request once more would do (D16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Read,
    /// The vendor recognises the key, so far as we rely on it.
    Idempotent {
        key: Box<str>,
        lifetime_ms: i64,
    },
    Once,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Post,
}

impl Method {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// One request at the vendor's origin. The shell adds the authorisation.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// With the query, beginning with a slash.
    pub path: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Request({} {}, {} bytes)", self.method.as_str(), self.path, self.body.len())
    }
}

/// What became of this attempt; the shell makes the outcome of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub state: OutcomeState,
    /// A word of ours or the vendor's error code.
    pub code: Name,
    /// Not before this; the vendor's wish.
    pub retry_at: Option<Timestamp>,
    /// What the vendor said at length, to be sealed: it may repeat what we sent.
    pub evidence: Option<Personal>,
}

/// How one capability is carried out at a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub capability: Capability,
    /// Longest time after which an effect that happened can still be invisible.
    pub settle_ms: i64,
    /// All of them hold at once, for each account.
    pub limits: &'static [Limit],
}

/// At most so many requests in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub requests: u32,
    pub window_ms: i64,
}
