//! Commands: values of `tradewind.commands.<vendor>`, byte for byte as in the
//! decision that issued them.

use prost::Message;
use tradewind_domain::{
    Capability, Command, CommandBody, CommandId, EntityKey, Lineage, MessageLine, MessageSend, Name, Position, Tenant,
    Timestamp, Vendor,
};
use tradewind_ports::{NewRecord, Record};

use crate::common::{
    self, Wire, field, list, one_of, optional, or_blank, required, to_list, to_option, unless_blank, wire_enum,
};
use crate::error::{DecodeError, Mismatch};
use crate::headers::{self, CloudEvent, Writer};
use crate::proto;

const MESSAGE: &str = "command";

wire_enum!(Change { Absolute, Relative });
wire_enum!(CommandClass { Transactional, Promotional, Care, Operational });

/// A command as it stands on its topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    pub command: Command,
    /// The step that issued it.
    pub position: Position,
    /// The history that step belongs to.
    pub lineage: Lineage,
}

/// # Errors
///
/// A newer release wrote it, or it is no command.
pub fn decode(record: &Record) -> Result<Issued, DecodeError> {
    let value = headers::readable_value(MESSAGE, record)?;
    let position = record.headers.get(headers::POSITION);
    let lineage = record.headers.get(headers::LINEAGE);
    Ok(Issued {
        command: common::decode(MESSAGE, value)?,
        position: headers::required(headers::POSITION, position, "<offset>.<step>, two decimal numbers")?,
        lineage: headers::required(headers::LINEAGE, lineage, "a UUID")?,
    })
}

pub(crate) fn encode(command: &Command) -> Vec<u8> {
    command.to_proto().encode_to_vec()
}

/// What the headers of a command's record repeat. It needs no body, so a release
/// can pass on a command that it can't carry out.
pub(crate) struct Head {
    id: CommandId,
    tenant: Tenant,
    vendor: Vendor,
    capability: Name,
    target: EntityKey,
    issued_at: Timestamp,
}

/// The headers that a command's record has from the record of its decision.
pub(crate) struct Stamp<'a> {
    pub(crate) min_reader: &'a [u8],
    pub(crate) position: &'a [u8],
    pub(crate) lineage: &'a [u8],
}

impl Head {
    /// From an encoded command.
    pub(crate) fn read(bytes: &[u8]) -> Result<Head, DecodeError> {
        let read = |proto: proto::Command| {
            Ok(Head {
                id: field(proto.id, "id")?,
                tenant: field(proto.tenant, "tenant")?,
                vendor: field(proto.vendor, "vendor")?,
                capability: field(proto.capability, "capability")?,
                target: required(proto.target, "target")?,
                issued_at: field(proto.issued_at_ms, "issued_at_ms")?,
            })
        };
        read(common::parse(MESSAGE, bytes)?).map_err(|mismatch: Mismatch| mismatch.of(MESSAGE))
    }

    pub(crate) fn of(command: &Command) -> Head {
        Head {
            id: command.id,
            tenant: command.tenant.clone(),
            vendor: command.vendor.clone(),
            capability: Name::fixed(command.body.capability().as_str()),
            target: command.target.clone(),
            issued_at: command.issued_at,
        }
    }

    /// The record of the command whose encoded `value` this is the head of.
    pub(crate) fn record(self, value: Vec<u8>, stamp: &Stamp<'_>) -> (Vendor, NewRecord) {
        let headers = Writer::cloud_event(&CloudEvent {
            id: self.id,
            tenant: &self.tenant,
            vendor: Vendor::ourselves().as_str(),
            account: "",
            kind: format_args!("tradewind.command.{}.v1", self.capability),
            subject: Some(&self.target),
            time: Some(self.issued_at),
        })
        .bytes(headers::MIN_READER, stamp.min_reader)
        .bytes(headers::POSITION, stamp.position)
        .bytes(headers::LINEAGE, stamp.lineage)
        .finish();
        (self.vendor, NewRecord { key: self.tenant.as_bytes().to_vec(), headers, value: Some(value) })
    }
}

impl Wire for Command {
    type Proto = proto::Command;

    fn to_proto(&self) -> proto::Command {
        proto::Command {
            id: self.id.to_proto(),
            tenant: self.tenant.to_proto(),
            connection: self.connection.to_proto(),
            vendor: self.vendor.to_proto(),
            account: self.account.to_proto(),
            capability: self.body.capability().to_proto(),
            target: Some(self.target.to_proto()),
            change: self.change.to_proto(),
            class: self.class.to_proto(),
            issued_at_ms: self.issued_at.to_proto(),
            not_before_ms: self.not_before.to_proto(),
            deadline_ms: self.deadline.to_proto(),
            causes: to_list(&self.causes),
            approval: or_blank(self.approval.as_ref()),
            compensates: or_blank(self.compensates.as_ref()),
            contact: to_option(self.contact.as_ref()),
            instance: self.instance.to_proto(),
            decision: self.decision.to_proto(),
            workflow: self.workflow.to_proto(),
            body: Some(match &self.body {
                CommandBody::MessageSend(body) => proto::command::Body::MessageSend(body.to_proto()),
            }),
        }
    }

    fn from_proto(proto: proto::Command) -> Result<Command, Mismatch> {
        let capability: Capability = field(proto.capability, "capability")?;
        let body = match one_of(proto.body, "body")? {
            proto::command::Body::MessageSend(body) => CommandBody::MessageSend(field(body, "message_send")?),
        };
        if capability != body.capability() {
            let expected = "the capability of the body";
            return Err(Mismatch::text(expected, capability.as_str()).within("capability"));
        }
        Ok(Command {
            id: field(proto.id, "id")?,
            tenant: field(proto.tenant, "tenant")?,
            connection: field(proto.connection, "connection")?,
            vendor: field(proto.vendor, "vendor")?,
            account: field(proto.account, "account")?,
            target: required(proto.target, "target")?,
            change: field(proto.change, "change")?,
            class: field(proto.class, "class")?,
            issued_at: field(proto.issued_at_ms, "issued_at_ms")?,
            not_before: field(proto.not_before_ms, "not_before_ms")?,
            deadline: field(proto.deadline_ms, "deadline_ms")?,
            workflow: field(proto.workflow, "workflow")?,
            instance: field(proto.instance, "instance")?,
            decision: field(proto.decision, "decision")?,
            causes: list(proto.causes, "causes")?,
            approval: unless_blank(proto.approval, "approval")?,
            compensates: unless_blank(proto.compensates, "compensates")?,
            contact: optional(proto.contact, "contact")?,
            body,
        })
    }
}

impl Wire for Capability {
    type Proto = String;

    fn to_proto(&self) -> String {
        self.as_str().into()
    }

    fn from_proto(proto: String) -> Result<Capability, Mismatch> {
        [Capability::MessageSend]
            .into_iter()
            .find(|capability| capability.as_str() == proto)
            .ok_or_else(|| Mismatch::text("a capability that this release knows", &proto))
    }
}

impl Wire for MessageSend {
    type Proto = proto::MessageSend;

    fn to_proto(&self) -> proto::MessageSend {
        proto::MessageSend {
            channel: self.channel.to_proto(),
            template: self.template.to_proto(),
            lines: to_list(&self.lines),
            total: to_option(self.total.as_ref()),
            cart: to_option(self.cart.as_ref()),
            recovery_url: to_option(self.recovery_url.as_ref()),
            first_name: to_option(self.first_name.as_ref()),
        }
    }

    fn from_proto(proto: proto::MessageSend) -> Result<MessageSend, Mismatch> {
        Ok(MessageSend {
            channel: field(proto.channel, "channel")?,
            template: field(proto.template, "template")?,
            cart: optional(proto.cart, "cart")?,
            lines: list(proto.lines, "lines")?,
            total: optional(proto.total, "total")?,
            recovery_url: optional(proto.recovery_url, "recovery_url")?,
            first_name: optional(proto.first_name, "first_name")?,
        })
    }
}

impl Wire for MessageLine {
    type Proto = proto::message_send::Line;

    fn to_proto(&self) -> proto::message_send::Line {
        proto::message_send::Line {
            sku: self.sku.to_string(),
            title: self.title.to_string(),
            quantity: self.quantity,
            unit_price: to_option(self.unit_price.as_ref()),
        }
    }

    fn from_proto(proto: proto::message_send::Line) -> Result<MessageLine, Mismatch> {
        Ok(MessageLine {
            sku: proto.sku.into(),
            title: proto.title.into(),
            quantity: proto.quantity,
            unit_price: optional(proto.unit_price, "unit_price")?,
        })
    }
}
