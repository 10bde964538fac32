//! Keys of the vault: values of `tradewind.keys` and of the vault file.

use std::fmt;

use prost::Message;
use tradewind_domain::{Digest, KeyId, Tenant, Timestamp};
use tradewind_ports::{NewRecord, Record};

use crate::common::{self, Wire, field};
use crate::error::{DecodeError, Mismatch};
use crate::headers;
use crate::proto;

const MESSAGE: &str = "key entry";

/// A key as it is stored: wrapped by the installation's key. It never prints
/// the wrapped bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyEntry {
    pub id: KeyId,
    pub tenant: Tenant,
    /// Whose key it is: H over the entity.
    pub owner: Digest,
    pub wrapped: Box<[u8]>,
    pub nonce: [u8; 12],
    pub created_at: Timestamp,
}

impl fmt::Debug for KeyEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyEntry({} of {:?})", self.id, self.tenant)
    }
}

#[must_use]
pub fn encode(entry: &KeyEntry) -> Vec<u8> {
    entry.to_proto().encode_to_vec()
}

/// # Errors
///
/// The bytes are no key entry.
pub fn decode(bytes: &[u8]) -> Result<KeyEntry, DecodeError> {
    common::decode(MESSAGE, bytes)
}

/// The record on `tradewind.keys`. Its key is the key's id, so that a tombstone
/// erases this one key.
#[must_use]
pub fn record(entry: &KeyEntry) -> NewRecord {
    NewRecord { key: entry.id.as_bytes().to_vec(), headers: headers::plain(), value: Some(encode(entry)) }
}

/// `None` for a tombstone: the key was erased.
///
/// # Errors
///
/// A newer release wrote it, or it is no key entry.
pub fn decode_record(record: &Record) -> Result<Option<KeyEntry>, DecodeError> {
    headers::readable(record)?.map(decode).transpose()
}

impl Wire for KeyEntry {
    type Proto = proto::KeyEntry;

    fn to_proto(&self) -> proto::KeyEntry {
        proto::KeyEntry {
            key_id: self.id.to_proto(),
            tenant: self.tenant.to_proto(),
            owner: self.owner.to_proto(),
            wrapped: self.wrapped.to_vec(),
            nonce: self.nonce.to_proto(),
            created_at_ms: self.created_at.to_proto(),
        }
    }

    fn from_proto(proto: proto::KeyEntry) -> Result<KeyEntry, Mismatch> {
        Ok(KeyEntry {
            id: field(proto.key_id, "key_id")?,
            tenant: field(proto.tenant, "tenant")?,
            owner: field(proto.owner, "owner")?,
            wrapped: proto.wrapped.into(),
            nonce: field(proto.nonce, "nonce")?,
            created_at: field(proto.created_at_ms, "created_at_ms")?,
        })
    }
}
