//! Facts as a translator hands them over: personal values beside them, in clear,
//! for the connector to seal into their slots.

use std::fmt;

use tradewind_domain::{
    Account, Body, CommandId, ConnectionName, EntityKey, EntityKind, Fact, FactId, FactIdentity, Pepper, Tenant,
    Timestamp, Vendor,
};

/// Most entities one fact names: each is a leaf to write, and a delivery is not
/// trusted with their number.
const NAMES_MAX: usize = 32;

/// Whose delivery it is. The account is the connection's own, never one that a
/// delivery claims.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    pub tenant: &'a Tenant,
    pub vendor: &'a Vendor,
    pub account: &'a Account,
    pub connection: &'a ConnectionName,
    pub pepper: &'a Pepper,
}

impl Connection<'_> {
    pub(crate) fn key(&self, kind: EntityKind, id: &str) -> EntityKey {
        EntityKey::at_vendor(kind, self.vendor, self.account, id)
    }

    /// `object` is the vendor's id of what the fact is about, `version` tells its
    /// versions apart.
    pub(crate) fn draft(
        &self,
        object: &str,
        version: &str,
        occurred_at: Timestamp,
        body: Body,
        personal: Vec<Personal>,
    ) -> Draft {
        let id = FactId::derive(&FactIdentity {
            tenant: self.tenant.as_str(),
            vendor: self.vendor.as_str(),
            account: self.account.as_str(),
            kind: body.kind(),
            object: object.as_bytes(),
            version: version.as_bytes(),
            item: b"",
        });
        Draft { id, fact: Fact { occurred_at, body }, caused_by: None, personal }
    }
}

/// A fact whose sealed fields are still empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub id: FactId,
    pub fact: Fact,
    /// The command of ours that this comes back from, where the vendor shows it.
    pub caused_by: Option<CommandId>,
    /// To be sealed into the slots of [`Body::sealed_slot`], in this order.
    pub personal: Vec<Personal>,
}

/// A personal value in clear. It never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal {
    /// The word of its slot, and what the ciphertext is bound to.
    pub field: &'static str,
    pub value: String,
}

impl fmt::Debug for Personal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Personal({})", self.field)
    }
}

/// Gathers the entities a fact names, each once, in the order given. What is
/// absent or no identifier names nobody.
pub(crate) struct Names<'a> {
    connection: &'a Connection<'a>,
    names: Vec<EntityKey>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(connection: &'a Connection<'a>) -> Names<'a> {
        Names { connection, names: Vec::new() }
    }

    pub(crate) fn at_vendor(self, kind: EntityKind, id: Option<&str>) -> Names<'a> {
        let key = id.map(|id| self.connection.key(kind, id));
        self.with(key)
    }

    pub(crate) fn email(self, address: Option<&str>) -> Names<'a> {
        let key = address.and_then(|address| self.connection.pepper.email(address));
        self.with(key)
    }

    pub(crate) fn phone(self, number: Option<&str>) -> Names<'a> {
        let key = number.and_then(|number| self.connection.pepper.phone(number));
        self.with(key)
    }

    pub(crate) fn finish(self) -> Vec<EntityKey> {
        self.names
    }

    fn with(mut self, key: Option<EntityKey>) -> Names<'a> {
        if let Some(key) = key
            && self.names.len() < NAMES_MAX
            && !self.names.contains(&key)
        {
            self.names.push(key);
        }
        self
    }
}

/// The personal values there are.
/// Longest value of each kind that comes to stand in commands and decisions.
pub(crate) const NAME_BYTES_MAX: usize = 255;
pub(crate) const ADDRESS_BYTES_MAX: usize = 320;
pub(crate) const URL_BYTES_MAX: usize = 4_096;
pub(crate) const TITLE_BYTES_MAX: usize = 512;

/// The beginning of a text that is only shown.
pub(crate) fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

pub(crate) fn personal<const N: usize>(fields: [(&'static str, Option<String>); N]) -> Vec<Personal> {
    fields.into_iter().filter_map(|(field, value)| Some(Personal { field, value: value? })).collect()
}
