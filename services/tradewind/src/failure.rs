//! Why the program ends otherwise than well, and with which exit code.

use std::fmt;

/// The codes of sysexits.h that supervisors know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command line or the configuration is wrong: starting it again won't help.
    Usage = 64,
    /// What is needed is not there, or in use.
    Unavailable = 69,
    /// It can't go on: a thread ended, or a person has to look at the log.
    Stopped = 70,
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) reason: String,
}

impl Failure {
    pub(crate) fn usage(reason: impl fmt::Display) -> Failure {
        Failure { exit: Exit::Usage, reason: reason.to_string() }
    }

    pub(crate) fn unavailable(reason: impl fmt::Display) -> Failure {
        Failure { exit: Exit::Unavailable, reason: reason.to_string() }
    }

    pub(crate) fn stopped(reason: impl fmt::Display) -> Failure {
        Failure { exit: Exit::Stopped, reason: reason.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}
