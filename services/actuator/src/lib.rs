//! One actuator: the commands of one vendor in one partition, carried out with
//! at most one effect each, and their outcomes.
//!
//! `Errand` decides, command by command, and touches nothing; `Actuator` is the
//! loop over the ports that does what was decided. Invariants (D16; checked by a
//! simulation that runs this very code):
//! - The writer is fenced before the ledger is read, so nobody else adds to what
//!   was read.
//! - A claim is durable before a request that may have an effect is opened, and
//!   is checked immediately before the first byte of it, by a clock that runs on
//!   while the machine sleeps.
//! - A claim without a verdict may have had its effect. Only three things end
//!   that doubt: an answer, a read-back sent after the settle time, or a person.
//! - Verdict, then outcome, then position, each acknowledged before the next.
//! - After any error, memory is worth nothing: drop the actuator, recover another.

#![forbid(unsafe_code)]

mod actuator;
mod admission;
mod calls;
mod clock;
mod directory;
mod errand;
mod error;
mod http;
mod ledger;
mod metrics;
mod outcome;
mod pace;
mod setback;
mod settings;

pub use actuator::{Actuator, Stepped};
pub use calls::{Call, Calls, Ended, Permit, Secrets};
pub use clock::{Boot, Clocks, Moment, SystemClocks};
pub use errand::Terms;
pub use error::{ActuatorError, Remedy};
pub use http::{HttpCalls, rendered};
pub use metrics::{ActuatorMetric, Counted};
pub use settings::{Ports, Settings};
