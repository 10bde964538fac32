//! What became of a command.

use tradewind_domain::Outcome;

use crate::common::{Wire, field, optional, or_blank, to_option, unless_blank, wire_enum};
use crate::error::Mismatch;
use crate::proto;

wire_enum!(OutcomeState {
    Accepted,
    Succeeded,
    Rejected,
    Throttled,
    Failed,
    Unknown,
    Expired,
    Superseded,
    Quarantined,
    Resolved,
    Cancelled,
    Compensated,
    DeadLettered,
});
wire_enum!(Resolution { Happened, DidNotHappen, Skipped });

impl Wire for Outcome {
    type Proto = proto::Outcome;

    fn to_proto(&self) -> proto::Outcome {
        proto::Outcome {
            command: self.command.to_proto(),
            attempt: self.attempt,
            state: self.state.to_proto(),
            code: self.code.to_proto(),
            retry_at_ms: or_blank(self.retry_at.as_ref()),
            vendor_ref: self.vendor_ref.to_string(),
            vendor_version: self.vendor_version.to_string(),
            value_before: self.value_before.to_string(),
            value_after: self.value_after.to_string(),
            cost: to_option(self.cost.as_ref()),
            actor: self.actor.to_proto(),
            resolution: or_blank(self.resolution.as_ref()),
            evidence: to_option(self.evidence.as_ref()),
        }
    }

    fn from_proto(proto: proto::Outcome) -> Result<Outcome, Mismatch> {
        Ok(Outcome {
            command: field(proto.command, "command")?,
            attempt: proto.attempt,
            state: field(proto.state, "state")?,
            code: field(proto.code, "code")?,
            retry_at: unless_blank(proto.retry_at_ms, "retry_at_ms")?,
            vendor_ref: proto.vendor_ref.into(),
            vendor_version: proto.vendor_version.into(),
            value_before: proto.value_before.into(),
            value_after: proto.value_after.into(),
            cost: optional(proto.cost, "cost")?,
            actor: field(proto.actor, "actor")?,
            resolution: unless_blank(proto.resolution, "resolution")?,
            evidence: optional(proto.evidence, "evidence")?,
        })
    }
}
