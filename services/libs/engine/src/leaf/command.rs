//! What is known of a command that was issued.

use serde::{Deserialize, Serialize};
use tradewind_domain::{EntityKey, InstanceId, OutcomeState, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLeaf {
    pub instance: InstanceId,
    pub target: EntityKey,
    pub deadline: Timestamp,
    /// The newest state that was reported; a final one stays.
    pub state: Option<OutcomeState>,
    /// By the last report: it never reached anybody and never will.
    pub without_effect: bool,
    /// No outcome came in time, and that was recorded.
    pub missing: bool,
}
