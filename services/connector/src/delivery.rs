//! One delivery, from its bytes to what is appended for it: verified, translated,
//! sealed. Only the keys may have to be waited for, and nothing here knows of sockets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tradewind_domain::{
    Account, Arrival, Cause, ConnectionName, DeadLetter, Digest, EntityKey, EntityKind, FactId, FactIdentity, Header,
    Name, RawDelivery, Source, Tenant, Timestamp, Vendor, derive, key_owner_digest,
};
use tradewind_ports::{SealingKey, VaultError};
use tradewind_vendors::{Delivery, Draft, Fetched, Misunderstood, Refusal, Request, Translation};
use tradewind_wire::record::NewFact;
use tradewind_wire::seal::seal;

use crate::directory::Door;
use crate::world::FetchAnswer;

/// The field that a whole body is sealed as. Never changes.
const WHOLE: &str = "delivery";

/// A request that came in at a door, its body read.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) door: Arc<Door>,
    pub(crate) received_at: Timestamp,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Where keys come from: the vault, waiting for it or not.
pub(crate) type Keys<'a> = &'a dyn Fn(&Tenant, &Digest) -> Result<SealingKey, VaultError>;

/// What is to be appended for a delivery.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// With the facts it was translated to; none if the catalogue has nothing like it.
    Raw {
        delivery: RawDelivery,
        facts: Vec<NewFact>,
    },
    DeadLetter(DeadLetter),
}

#[derive(Debug)]
pub(crate) enum Read {
    Kept(Kept),
    Refused(Refusal),
    /// The answer to this is needed; then the delivery is read again with it.
    Fetch(Request),
    Vault(VaultError),
}

impl Read {
    pub(crate) fn kept(kept: Result<Kept, VaultError>) -> Read {
        kept.map_or_else(Read::Vault, Read::Kept)
    }
}

impl Received {
    /// Reads the delivery, with the vendor's answer where it asked for one.
    pub(crate) fn read(&self, keys: Keys<'_>, fetched: Option<&FetchAnswer>) -> Read {
        let Door { account, secrets, inbound, .. } = &*self.door;
        let delivery = Delivery { received_at: self.received_at, headers: &self.headers, body: &self.body };
        let verified = match (inbound.verify)(delivery, account, secrets) {
            Ok(verified) => verified,
            Err(refusal) => return Read::Refused(refusal),
        };
        let connection = self.door.connection();
        // A delivery that makes our code fail would make it fail again and again,
        // until the vendor gives up on us: it is kept like any other that we can't read.
        let translation = catch_unwind(AssertUnwindSafe(|| match (fetched, inbound.translate_fetched) {
            (Some(answer), Some(translate_fetched)) => {
                let fetched = Fetched { status: answer.status, body: &answer.body };
                translate_fetched(&verified, fetched, &connection)
            }
            (Some(_) | None, _) => (inbound.translate)(&verified, &connection),
        }))
        .unwrap_or_else(|_| Err(misunderstood("translator_failed", "that our own code does not panic")));
        let kept = match translation {
            Ok(Translation::Facts(drafts)) => self.seal(keys, drafts),
            Ok(Translation::NotInCatalogue { .. }) => self.seal(keys, Vec::new()),
            Ok(Translation::Fetch(request)) if fetched.is_none() => return Read::Fetch(request),
            Ok(Translation::Fetch(_)) => {
                self.lay_aside(keys, misunderstood("fetch_again", "facts from the answer, not another question"))
            }
            Err(misunderstood) => self.lay_aside(keys, misunderstood),
        };
        Read::kept(kept)
    }

    /// The delivery as a dead letter.
    pub(crate) fn lay_aside(&self, keys: Keys<'_>, misunderstood: Misunderstood) -> Result<Kept, VaultError> {
        let key = keys(&self.door.tenant, &connection_owner(&self.door.tenant, &self.door.connection))?;
        Ok(Kept::DeadLetter(DeadLetter {
            delivery: self.sealed_whole(&key),
            reason: misunderstood.reason,
            expected: misunderstood.expected,
            translation: self.door.inbound.translation,
        }))
    }

    fn seal(&self, keys: Keys<'_>, drafts: Vec<Draft>) -> Result<Kept, VaultError> {
        let tenant = &self.door.tenant;
        let whole_owner = drafts
            .iter()
            .find_map(|draft| person_of(draft).map(|owner| key_owner_digest(tenant, owner)))
            .unwrap_or_else(|| connection_owner(&self.door.tenant, &self.door.connection));
        let delivery = self.sealed_whole(&keys(tenant, &whole_owner)?);
        let facts = drafts.into_iter().map(|draft| self.sealed_fact(keys, draft)).collect::<Result<_, _>>()?;
        Ok(Kept::Raw { delivery, facts })
    }

    fn sealed_fact(&self, keys: Keys<'_>, draft: Draft) -> Result<NewFact, VaultError> {
        let Door { tenant, vendor, account, placement, inbound, .. } = &*self.door;
        let Draft { id, mut fact, caused_by, personal } = draft;
        if !personal.is_empty() {
            let owner = fact.body.key_owner().expect("a fact with personal values is about an object");
            let key = keys(tenant, &key_owner_digest(tenant, owner))?;
            for value in &personal {
                let slot = fact.body.sealed_slot(value.field);
                *slot.unwrap_or_else(|| panic!("expected a slot for {}", value.field)) =
                    Some(seal(&key, id, value.field, value.value.as_bytes()));
            }
        }
        Ok(NewFact {
            tenant: tenant.clone(),
            id,
            source: Source { vendor: vendor.clone(), account: account.clone() },
            arrival: Arrival::Live,
            produced_at: self.received_at,
            recorded_at: None,
            placement: *placement,
            translation: inbound.translation,
            caused_by: caused_by.map(Cause::Command),
            fact,
        })
    }

    fn sealed_whole(&self, key: &SealingKey) -> RawDelivery {
        let kept = |name: &str| self.door.inbound.kept_headers.contains(&name);
        let headers = self.headers.iter().filter(|(name, _)| kept(name));
        RawDelivery {
            connection: self.door.connection.clone(),
            received_at: self.received_at,
            headers: headers
                .map(|(name, value)| Header { name: name.as_str().into(), value: value.as_str().into() })
                .collect(),
            body: seal(key, self.origin(), WHOLE, &self.body),
        }
    }

    fn origin(&self) -> FactId {
        let Door { tenant, vendor, account, connection, .. } = &*self.door;
        origin(tenant, vendor, account, connection, &self.body)
    }
}

/// What a delivery as a whole is known by: its bytes. Sent again, it seals to
/// the same ciphertext.
fn origin(tenant: &Tenant, vendor: &Vendor, account: &Account, connection: &ConnectionName, body: &[u8]) -> FactId {
    FactId::derive(&FactIdentity {
        tenant: tenant.as_str(),
        vendor: vendor.as_str(),
        account: account.as_str(),
        kind: "tradewind.delivery",
        object: connection.as_bytes(),
        version: &Sha256::digest(body),
        item: b"",
    })
}

/// Whose key seals deliveries that name nobody. Such a delivery goes when its
/// topic forgets it, after 30 days.
fn connection_owner(tenant: &Tenant, connection: &ConnectionName) -> Digest {
    derive("connection-owner", &[tenant.as_bytes(), connection.as_bytes()])
}

/// Whose key a delivery is sealed with for the sake of this fact: `None` if it
/// names nobody and holds nothing personal, so that not every cart needs a key.
fn person_of(draft: &Draft) -> Option<&EntityKey> {
    let owner = draft.fact.body.key_owner()?;
    let is_person = match owner.kind() {
        EntityKind::Customer | EntityKind::Email | EntityKind::Phone => true,
        EntityKind::Cart | EntityKind::Checkout | EntityKind::Order | EntityKind::Ticket => false,
    };
    (is_person || !draft.personal.is_empty()).then_some(owner)
}

pub(crate) fn misunderstood(reason: &'static str, expected: &str) -> Misunderstood {
    Misunderstood { reason: Name::fixed(reason), expected: expected.into() }
}

impl Kept {
    /// About what it holds in memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Kept::Raw { delivery, .. } | Kept::DeadLetter(DeadLetter { delivery, .. }) => {
                2 * delivery.body.ciphertext.len()
            }
        }
    }

    pub(crate) fn facts(&self) -> usize {
        match self {
            Kept::Raw { facts, .. } => facts.len(),
            Kept::DeadLetter(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From docs/contract_vectors.py.
    #[test]
    fn what_deliveries_are_sealed_under_never_changes() {
        let tenant = Tenant::new("demo").unwrap();
        let (vendor, account) = (Vendor::new("shopify").unwrap(), Account::new("demo.myshopify.com").unwrap());
        let connection = ConnectionName::new("store").unwrap();
        assert_eq!(
            origin(&tenant, &vendor, &account, &connection, b"{}").to_string(),
            "a4e42600-b760-8a3d-a484-fa3965650d19"
        );
        let owner: String = connection_owner(&tenant, &connection).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(owner, "eaa0b9832a175bc866db0d0ea8f87551119deecb0a2125a34a59bc61456a427f");
    }
}
