//! The owner of a partition: the loop over the ports that folds, decides and
//! commits, and what it does after anything went wrong.
//!
//! Invariants (D6; the simulation checks them, with mutants):
//! - Decisions are acknowledged before the commands they issued, commands before
//!   the `TurnCommitted` that covers them, and that before the commit.
//! - The last visible `TurnCommitted` is the commit point. A visible decision is
//!   final all the same: whoever recovers adopts it.
//! - After any error inside a transaction, memory is worth nothing: the caller
//!   drops the owner and recovers another one.

#![forbid(unsafe_code)]

mod ask;
mod candidate;
mod directory;
mod drain;
mod error;
mod events;
mod follow;
mod host;
mod metrics;
mod owner;
mod pulse;
mod recover;
mod shares;
mod turn;

pub use ask::{AskError, Desk, Questions, Standing, Timeline, desk};
pub use candidate::{Candidate, catch_up};
pub use error::{OwnerError, Remedy};
pub use follow::{Followed, Follower};
pub use host::{Host, HostError, Stores};
pub use metrics::{Counted, OrchestratorMetric};
pub use owner::{Owner, Settings, TurnLimits, Turned};
pub use pulse::Pulse;
pub use shares::Shares;
