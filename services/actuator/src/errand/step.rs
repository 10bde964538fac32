//! What an errand is bound by, and what it may say to be done.

use tradewind_domain::{Command, Name, OutcomeState, Timestamp};
use tradewind_vendors::{OpenCommand, Operation, Personal, Request};

use crate::clock::Boot;

/// No deadline is later than this after a command was issued.
const DEADLINE_MS_MAX: i64 = 21 * 24 * 60 * 60 * 1_000;

/// What holds for a command whatever happens.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub not_before: Timestamp,
    /// Past it, nothing that may have an effect is sent.
    pub deadline: Timestamp,
    /// Longest time after which an effect that happened can still be invisible.
    pub settle_ms: i64,
}

impl Terms {
    #[must_use]
    pub fn of(command: &Command, operation: Option<&Operation>) -> Terms {
        Terms {
            not_before: command.not_before,
            deadline: command.deadline.min(command.issued_at + DEADLINE_MS_MAX),
            settle_ms: operation.map_or(0, |operation| operation.settle_ms),
        }
    }
}

/// Whether a command may be carried out now.
#[derive(Debug)]
pub(crate) enum Gate<'a> {
    Open(&'a OpenCommand<'a>),
    /// Not now: a switch, a connection that is off, a secret that is missing.
    Shut,
    /// Never.
    Barred(OutcomeState, &'static str),
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Wait(Boot),
    /// As [`Step::Wait`]; the whole account waits.
    Pause(Boot),
    /// As [`Step::Wait`], because the gate is shut.
    Hold(Boot),
    /// Send a request without an effect.
    Read {
        step: u32,
        request: Request,
    },
    /// Claim, then send, but not after `until`.
    Claim {
        step: u32,
        request: Request,
        until: Timestamp,
        is_once: bool,
    },
    Conclude(Conclusion),
}

/// What became of the command, for good or for a person to say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conclusion {
    pub(crate) state: OutcomeState,
    pub(crate) code: Name,
    pub(crate) evidence: Option<Personal>,
}

impl Conclusion {
    pub(super) fn ours(state: OutcomeState, code: &'static str) -> Conclusion {
        Conclusion { state, code: Name::fixed(code), evidence: None }
    }
}
