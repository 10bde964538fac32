//! Where a leaf is kept. The bytes of a key sort leaves of one tenant together.

use tradewind_domain::{CommandId, EntityKey, InstanceId, Tenant};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeafKey<'a> {
    /// Settings, connections and bindings of a tenant.
    Tenant(&'a Tenant),
    /// What facts say of one entity.
    Entity(&'a Tenant, &'a EntityKey),
    /// Which workflows run for one entity.
    Process(&'a Tenant, &'a EntityKey),
    Instance(&'a Tenant, InstanceId),
    Command(&'a Tenant, CommandId),
}

impl LeafKey<'_> {
    /// Tenant behind one byte of length, one byte for the kind of leaf, and what
    /// names it among its kind.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes);
        bytes
    }

    /// As [`LeafKey::to_bytes`], in place of what `bytes` held.
    pub(crate) fn write_to(&self, bytes: &mut Vec<u8>) {
        let (tenant, kind, rest): (_, _, &[u8]) = match self {
            LeafKey::Tenant(tenant) => (tenant, 0, &[]),
            LeafKey::Entity(tenant, entity) => (tenant, 1, entity.as_bytes()),
            LeafKey::Process(tenant, entity) => (tenant, 2, entity.as_bytes()),
            LeafKey::Instance(tenant, instance) => (tenant, 3, instance.as_bytes()),
            LeafKey::Command(tenant, command) => (tenant, 4, command.as_bytes()),
        };
        bytes.clear();
        bytes.push(u8::try_from(tenant.as_bytes().len()).expect("a tenant has at most 190 bytes"));
        bytes.extend_from_slice(tenant.as_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(rest);
    }
}
