//! Deliveries as they came: `tradewind.raw.<vendor>` and `tradewind.dead-letter`.

use prost::Message;
use tradewind_domain::{DeadLetter, Header, RawDelivery, Tenant};
use tradewind_ports::{NewRecord, Record};

use crate::common::{self, Wire, field, list, required, to_list};
use crate::error::{DecodeError, Mismatch};
use crate::headers;
use crate::proto;

#[must_use]
pub fn raw_record(tenant: &Tenant, delivery: &RawDelivery) -> NewRecord {
    of_tenant(tenant, delivery.to_proto().encode_to_vec())
}

#[must_use]
pub fn dead_letter_record(tenant: &Tenant, letter: &DeadLetter) -> NewRecord {
    of_tenant(tenant, letter.to_proto().encode_to_vec())
}

/// # Errors
///
/// A newer release wrote it, or it is no delivery.
pub fn decode_raw(record: &Record) -> Result<RawDelivery, DecodeError> {
    const MESSAGE: &str = "raw delivery";
    common::decode(MESSAGE, headers::readable_value(MESSAGE, record)?)
}

/// # Errors
///
/// A newer release wrote it, or it is no dead letter.
pub fn decode_dead_letter(record: &Record) -> Result<DeadLetter, DecodeError> {
    const MESSAGE: &str = "dead letter";
    common::decode(MESSAGE, headers::readable_value(MESSAGE, record)?)
}

fn of_tenant(tenant: &Tenant, value: Vec<u8>) -> NewRecord {
    NewRecord { key: tenant.as_bytes().to_vec(), headers: headers::plain(), value: Some(value) }
}

impl Wire for RawDelivery {
    type Proto = proto::RawDelivery;

    fn to_proto(&self) -> proto::RawDelivery {
        proto::RawDelivery {
            connection: self.connection.to_proto(),
            received_at_ms: self.received_at.to_proto(),
            headers: to_list(&self.headers),
            body: Some(self.body.to_proto()),
        }
    }

    fn from_proto(proto: proto::RawDelivery) -> Result<RawDelivery, Mismatch> {
        Ok(RawDelivery {
            connection: field(proto.connection, "connection")?,
            received_at: field(proto.received_at_ms, "received_at_ms")?,
            headers: list(proto.headers, "headers")?,
            body: required(proto.body, "body")?,
        })
    }
}

impl Wire for Header {
    type Proto = proto::raw_delivery::Header;

    fn to_proto(&self) -> proto::raw_delivery::Header {
        proto::raw_delivery::Header { name: self.name.to_string(), value: self.value.to_string() }
    }

    fn from_proto(proto: proto::raw_delivery::Header) -> Result<Header, Mismatch> {
        Ok(Header { name: proto.name.into(), value: proto.value.into() })
    }
}

impl Wire for DeadLetter {
    type Proto = proto::DeadLetter;

    fn to_proto(&self) -> proto::DeadLetter {
        proto::DeadLetter {
            delivery: Some(self.delivery.to_proto()),
            reason: self.reason.to_proto(),
            expected: self.expected.to_string(),
            translation: self.translation,
        }
    }

    fn from_proto(proto: proto::DeadLetter) -> Result<DeadLetter, Mismatch> {
        Ok(DeadLetter {
            delivery: required(proto.delivery, "delivery")?,
            reason: field(proto.reason, "reason")?,
            expected: proto.expected.into(),
            translation: proto.translation,
        })
    }
}
