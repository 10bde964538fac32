//! The wall clock, for the rims that need one. Decisions never do: the log is
//! their clock.

use tradewind_domain::Timestamp;

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}
