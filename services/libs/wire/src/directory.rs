//! Entries of `tradewind.directory`.

use prost::Message;
use tradewind_domain::{ConnectionEntry, DefinitionStored, DirectoryEntry, DirectoryValue, OwnerEntry, TenantEntry};
use tradewind_ports::{NewRecord, Record};

use crate::common::{self, Wire, field, list, one_of, required, to_list};
use crate::error::{DecodeError, Mismatch};
use crate::headers;
use crate::proto;

#[must_use]
pub fn record(entry: &DirectoryEntry) -> NewRecord {
    NewRecord {
        key: entry.value.key().into_bytes(),
        headers: headers::plain(),
        value: Some(entry.to_proto().encode_to_vec()),
    }
}

/// `None` for a tombstone: the entry of this key is gone.
///
/// # Errors
///
/// A newer release wrote it, or it is no entry.
pub fn decode(record: &Record) -> Result<Option<DirectoryEntry>, DecodeError> {
    headers::readable(record)?.map(|value| common::decode("directory entry", value)).transpose()
}

impl Wire for DirectoryEntry {
    type Proto = proto::DirectoryEntry;

    fn to_proto(&self) -> proto::DirectoryEntry {
        use proto::directory_entry::Body as Proto;
        proto::DirectoryEntry {
            version: self.version,
            body: Some(match &self.value {
                DirectoryValue::Tenant(entry) => Proto::Tenant(entry.to_proto()),
                DirectoryValue::Connection(entry) => Proto::Connection(entry.to_proto()),
                DirectoryValue::Definition(entry) => Proto::Definition(entry.to_proto()),
                DirectoryValue::Switch { tenant, switch } => {
                    Proto::Switch(proto::SwitchEntry { tenant: tenant.to_proto(), switch: Some(switch.to_proto()) })
                }
                DirectoryValue::Format(format) => Proto::Format(proto::FormatEntry { format: *format }),
                DirectoryValue::Owner(entry) => Proto::Owner(entry.to_proto()),
            }),
        }
    }

    fn from_proto(proto: proto::DirectoryEntry) -> Result<DirectoryEntry, Mismatch> {
        use proto::directory_entry::Body as Proto;
        let value = match one_of(proto.body, "body")? {
            Proto::Tenant(entry) => DirectoryValue::Tenant(field(entry, "tenant")?),
            Proto::Connection(entry) => DirectoryValue::Connection(field(entry, "connection")?),
            Proto::Definition(entry) => DirectoryValue::Definition(field(entry, "definition")?),
            Proto::Switch(entry) => switch(entry).map_err(|mismatch| mismatch.within("switch"))?,
            Proto::Format(proto::FormatEntry { format }) => DirectoryValue::Format(format),
            Proto::Owner(entry) => DirectoryValue::Owner(field(entry, "owner")?),
        };
        Ok(DirectoryEntry { version: proto.version, value })
    }
}

fn switch(proto: proto::SwitchEntry) -> Result<DirectoryValue, Mismatch> {
    Ok(DirectoryValue::Switch { tenant: field(proto.tenant, "tenant")?, switch: required(proto.switch, "switch")? })
}

impl Wire for TenantEntry {
    type Proto = proto::TenantEntry;

    fn to_proto(&self) -> proto::TenantEntry {
        proto::TenantEntry {
            tenant: self.tenant.to_proto(),
            partition: self.partition,
            placement: self.placement,
            pepper: self.pepper.to_proto(),
        }
    }

    fn from_proto(proto: proto::TenantEntry) -> Result<TenantEntry, Mismatch> {
        Ok(TenantEntry {
            tenant: field(proto.tenant, "tenant")?,
            partition: proto.partition,
            placement: proto.placement,
            pepper: field(proto.pepper, "pepper")?,
        })
    }
}

impl Wire for ConnectionEntry {
    type Proto = proto::ConnectionEntry;

    fn to_proto(&self) -> proto::ConnectionEntry {
        proto::ConnectionEntry {
            tenant: self.tenant.to_proto(),
            connection: self.connection.to_proto(),
            vendor: self.vendor.to_proto(),
            account: self.account.to_proto(),
            intake: self.intake.to_proto(),
            active: self.active,
            token_hash: self.token_hash.to_proto(),
            secrets: to_list(&self.secrets),
            retry_horizon_ms: self.retry_horizon_ms,
            requests_per_second: self.requests_per_second,
            max_body_bytes: self.max_body_bytes,
        }
    }

    fn from_proto(proto: proto::ConnectionEntry) -> Result<ConnectionEntry, Mismatch> {
        Ok(ConnectionEntry {
            tenant: field(proto.tenant, "tenant")?,
            connection: field(proto.connection, "connection")?,
            vendor: field(proto.vendor, "vendor")?,
            account: field(proto.account, "account")?,
            intake: field(proto.intake, "intake")?,
            active: proto.active,
            token_hash: field(proto.token_hash, "token_hash")?,
            secrets: list(proto.secrets, "secrets")?,
            retry_horizon_ms: proto.retry_horizon_ms,
            requests_per_second: proto.requests_per_second,
            max_body_bytes: proto.max_body_bytes,
        })
    }
}

impl Wire for DefinitionStored {
    type Proto = proto::DefinitionStored;

    fn to_proto(&self) -> proto::DefinitionStored {
        proto::DefinitionStored {
            workflow: self.workflow.to_proto(),
            definition: self.definition.to_proto(),
            text: self.text.to_string(),
        }
    }

    fn from_proto(proto: proto::DefinitionStored) -> Result<DefinitionStored, Mismatch> {
        Ok(DefinitionStored {
            workflow: field(proto.workflow, "workflow")?,
            definition: field(proto.definition, "definition")?,
            text: proto.text.into(),
        })
    }
}

impl Wire for OwnerEntry {
    type Proto = proto::OwnerEntry;

    fn to_proto(&self) -> proto::OwnerEntry {
        proto::OwnerEntry { partition: self.partition, address: self.address.to_proto(), build: self.build.to_proto() }
    }

    fn from_proto(proto: proto::OwnerEntry) -> Result<OwnerEntry, Mismatch> {
        Ok(OwnerEntry {
            partition: proto.partition,
            address: field(proto.address, "address")?,
            build: field(proto.build, "build")?,
        })
    }
}
