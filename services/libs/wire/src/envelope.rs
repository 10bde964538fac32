//! A fact with its attributes in one message: for exports, and for the fact that
//! unparks another. It brings its own time and has no offset, since positions
//! stand in headers only: it is read as imported, at offset 0.

use prost::Message;
use tradewind_domain::{Body, Cause, Envelope, Fact, Source, Timestamp};
use tradewind_ports::Record;

use crate::common::{self, Wire, embedded, field, or_blank, unless_blank, wire_enum};
use crate::error::{DecodeError, Mismatch};
use crate::headers::{self, READER_LEVEL};
use crate::proto;
use crate::record::Attributes;

wire_enum!(Arrival { Live, Recovered, Backfill });

/// A record of `tradewind.events` as one message, the fact's bytes copied. It was
/// recorded at `recorded_at` by the log's clock, which only a reader of the whole
/// log knows: it runs ahead of a producer by a minute at most, and may be stretched.
///
/// # Errors
///
/// A newer release wrote it, or its key or headers are not those of an event.
pub fn encode(record: &Record, recorded_at: Timestamp) -> Result<Vec<u8>, DecodeError> {
    let attributes = Attributes::of(record)?;
    let proto = proto::Envelope {
        id: attributes.id.to_proto(),
        tenant: attributes.tenant.to_proto(),
        vendor: attributes.source.vendor.to_proto(),
        account: attributes.source.account.to_proto(),
        r#type: String::from_utf8_lossy(attributes.kind).into_owned(),
        recorded_at_ms: recorded_at.to_proto(),
        produced_at_ms: or_blank(attributes.produced_at.as_ref()),
        arrival: attributes.arrival.to_proto(),
        placement: attributes.placement,
        min_reader: attributes.min_reader,
        translation: attributes.translation,
        caused_by: attributes.caused_by.map(cause_to_proto),
        value: record.value.clone().ok_or(DecodeError::NoValue { message: "fact" })?,
    };
    Ok(proto.encode_to_vec())
}

/// # Errors
///
/// A newer release wrote it, or it is no envelope.
pub fn decode(bytes: &[u8]) -> Result<Envelope, DecodeError> {
    const MESSAGE: &str = "envelope";
    let proto: proto::Envelope = common::parse(MESSAGE, bytes)?;
    headers::check_level(proto.min_reader)?;
    from_proto(proto).map_err(|mismatch| mismatch.of(MESSAGE))
}

/// The envelope that an unparking carries. It holds no unparking itself, or a
/// value could nest without end.
pub(crate) fn parked(bytes: &[u8]) -> Result<Envelope, Mismatch> {
    let proto = proto::Envelope::decode(bytes)
        .map_err(|reason| Mismatch::new("an encoded message", format_args!("bytes that are none: {reason}")))?;
    if proto.min_reader > READER_LEVEL {
        return Err(Mismatch::new("a level that this release reads", proto.min_reader).within("min_reader"));
    }
    let fact = proto::Fact::decode(proto.value.as_slice());
    if let Ok(proto::Fact { body: Some(proto::fact::Body::FactUnparked(_)), .. }) = fact {
        return Err(Mismatch::new("a fact that unparks none", "one that does").within("value"));
    }
    from_proto(proto)
}

/// The envelope of what was parked first, where an unparking was parked in turn.
pub(crate) fn innermost(envelope: &Envelope) -> &Envelope {
    if let Body::FactUnparked(unparked) = &envelope.fact.body { innermost(&unparked.envelope) } else { envelope }
}

pub(crate) fn to_proto(envelope: &Envelope) -> proto::Envelope {
    proto::Envelope {
        id: envelope.id.to_proto(),
        tenant: envelope.tenant.to_proto(),
        vendor: envelope.source.vendor.to_proto(),
        account: envelope.source.account.to_proto(),
        r#type: envelope.fact.body.kind().into(),
        recorded_at_ms: envelope.recorded_at.to_proto(),
        produced_at_ms: or_blank(envelope.produced_at.as_ref()),
        arrival: envelope.arrival.to_proto(),
        placement: envelope.placement,
        min_reader: READER_LEVEL,
        translation: envelope.translation,
        caused_by: envelope.caused_by.map(cause_to_proto),
        value: envelope.fact.to_proto().encode_to_vec(),
    }
}

fn cause_to_proto(cause: Cause) -> proto::envelope::CausedBy {
    match cause {
        Cause::Command(command) => proto::envelope::CausedBy::CausedByCommand(command.to_proto()),
        Cause::Fact(fact) => proto::envelope::CausedBy::CausedByFact(fact.to_proto()),
    }
}

fn cause_from_proto(proto: proto::envelope::CausedBy) -> Result<Cause, Mismatch> {
    Ok(match proto {
        proto::envelope::CausedBy::CausedByCommand(command) => Cause::Command(field(command, "caused_by_command")?),
        proto::envelope::CausedBy::CausedByFact(fact) => Cause::Fact(field(fact, "caused_by_fact")?),
    })
}

fn from_proto(proto: proto::Envelope) -> Result<Envelope, Mismatch> {
    let fact: Fact = embedded(&proto.value, "value")?;
    if !proto.r#type.is_empty() && proto.r#type != fact.body.kind() {
        return Err(Mismatch::text("the type of the value", &proto.r#type).within("type"));
    }
    Ok(Envelope {
        offset: 0,
        imported: true,
        recorded_at: field(proto.recorded_at_ms, "recorded_at_ms")?,
        produced_at: unless_blank(proto.produced_at_ms, "produced_at_ms")?,
        tenant: field(proto.tenant, "tenant")?,
        id: field(proto.id, "id")?,
        source: Source { vendor: field(proto.vendor, "vendor")?, account: field(proto.account, "account")? },
        arrival: field(proto.arrival, "arrival")?,
        placement: proto.placement,
        translation: proto.translation,
        caused_by: proto.caused_by.map(cause_from_proto).transpose()?,
        fact,
    })
}
