//! Facts of the set-up.

use prost::Message;
use tradewind_domain::{
    ApprovalDecided, BindingSet, ConnectionChanged, DefinitionActivated, FactUnparked, InstanceUnparked, Scope,
    SettingSet, SwitchSet,
};

use crate::common::{Wire, field, or_blank, unless_blank, wire_enum};
use crate::error::Mismatch;
use crate::{envelope, proto};

wire_enum!(Intake { Webhook, Poll, None });
wire_enum!(Lifecycle { Off, Observe, Shadow, Canary, Approve, On });

impl Wire for ConnectionChanged {
    type Proto = proto::ConnectionChanged;

    fn to_proto(&self) -> proto::ConnectionChanged {
        proto::ConnectionChanged {
            connection: self.connection.to_proto(),
            vendor: self.vendor.to_proto(),
            account: self.account.to_proto(),
            intake: self.intake.to_proto(),
            active: self.active,
            retry_horizon_ms: self.retry_horizon_ms,
            version: self.version,
        }
    }

    fn from_proto(proto: proto::ConnectionChanged) -> Result<ConnectionChanged, Mismatch> {
        Ok(ConnectionChanged {
            connection: field(proto.connection, "connection")?,
            vendor: field(proto.vendor, "vendor")?,
            account: field(proto.account, "account")?,
            intake: field(proto.intake, "intake")?,
            active: proto.active,
            retry_horizon_ms: proto.retry_horizon_ms,
            version: proto.version,
        })
    }
}

impl Wire for BindingSet {
    type Proto = proto::BindingSet;

    fn to_proto(&self) -> proto::BindingSet {
        proto::BindingSet {
            capability: self.capability.to_proto(),
            channel: self.channel.to_proto(),
            connection: or_blank(self.connection.as_ref()),
            version: self.version,
        }
    }

    fn from_proto(proto: proto::BindingSet) -> Result<BindingSet, Mismatch> {
        Ok(BindingSet {
            capability: field(proto.capability, "capability")?,
            channel: field(proto.channel, "channel")?,
            connection: unless_blank(proto.connection, "connection")?,
            version: proto.version,
        })
    }
}

impl Wire for SettingSet {
    type Proto = proto::SettingSet;

    fn to_proto(&self) -> proto::SettingSet {
        proto::SettingSet { name: self.name.to_proto(), value: self.value, version: self.version }
    }

    fn from_proto(proto: proto::SettingSet) -> Result<SettingSet, Mismatch> {
        Ok(SettingSet { name: field(proto.name, "name")?, value: proto.value, version: proto.version })
    }
}

impl Wire for SwitchSet {
    type Proto = proto::SwitchSet;

    fn to_proto(&self) -> proto::SwitchSet {
        proto::SwitchSet {
            scope: self.scope.to_string(),
            stopped: self.stopped,
            reason: self.reason.to_string(),
            version: self.version,
        }
    }

    fn from_proto(proto: proto::SwitchSet) -> Result<SwitchSet, Mismatch> {
        Ok(SwitchSet {
            scope: scope(&proto.scope).map_err(|mismatch| mismatch.within("scope"))?,
            stopped: proto.stopped,
            reason: proto.reason.into(),
            version: proto.version,
        })
    }
}

fn scope(text: &str) -> Result<Scope, Mismatch> {
    text.parse().map_err(|expected| Mismatch::text(expected, text))
}

impl Wire for DefinitionActivated {
    type Proto = proto::DefinitionActivated;

    fn to_proto(&self) -> proto::DefinitionActivated {
        proto::DefinitionActivated {
            workflow: self.workflow.to_proto(),
            definition: self.definition.to_proto(),
            lifecycle: self.lifecycle.to_proto(),
            canary_percent: self.canary_percent,
            version: self.version,
        }
    }

    fn from_proto(proto: proto::DefinitionActivated) -> Result<DefinitionActivated, Mismatch> {
        Ok(DefinitionActivated {
            workflow: field(proto.workflow, "workflow")?,
            definition: field(proto.definition, "definition")?,
            lifecycle: field(proto.lifecycle, "lifecycle")?,
            canary_percent: proto.canary_percent,
            version: proto.version,
        })
    }
}

impl Wire for ApprovalDecided {
    type Proto = proto::ApprovalDecided;

    fn to_proto(&self) -> proto::ApprovalDecided {
        proto::ApprovalDecided {
            command: self.command.to_proto(),
            granted: self.granted,
            actor: self.actor.to_proto(),
            reason: self.reason.to_proto(),
        }
    }

    fn from_proto(proto: proto::ApprovalDecided) -> Result<ApprovalDecided, Mismatch> {
        Ok(ApprovalDecided {
            command: field(proto.command, "command")?,
            granted: proto.granted,
            actor: field(proto.actor, "actor")?,
            reason: field(proto.reason, "reason")?,
        })
    }
}

impl Wire for FactUnparked {
    type Proto = proto::FactUnparked;

    fn to_proto(&self) -> proto::FactUnparked {
        proto::FactUnparked {
            fact: self.fact.to_proto(),
            envelope: envelope::to_proto(envelope::innermost(&self.envelope)).encode_to_vec(),
            actor: self.actor.to_proto(),
        }
    }

    fn from_proto(proto: proto::FactUnparked) -> Result<FactUnparked, Mismatch> {
        Ok(FactUnparked {
            fact: field(proto.fact, "fact")?,
            envelope: Box::new(envelope::parked(&proto.envelope).map_err(|mismatch| mismatch.within("envelope"))?),
            actor: field(proto.actor, "actor")?,
        })
    }
}

impl Wire for InstanceUnparked {
    type Proto = proto::InstanceUnparked;

    fn to_proto(&self) -> proto::InstanceUnparked {
        proto::InstanceUnparked { instance: self.instance.to_proto(), actor: self.actor.to_proto() }
    }

    fn from_proto(proto: proto::InstanceUnparked) -> Result<InstanceUnparked, Mismatch> {
        Ok(InstanceUnparked { instance: field(proto.instance, "instance")?, actor: field(proto.actor, "actor")? })
    }
}
