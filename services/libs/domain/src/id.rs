//! Ids: derived by H, never drawn, and without a log position in them (D7).
//!
//! All are 16 bytes and print as a UUID of version 8. Decisions, instances and
//! commands begin with 48 bits of the watermark they were decided at, so that a
//! reader can seek by id; the rest is H.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::entity::EntityKey;
use crate::hash::{self, Digest};
use crate::ingest::GapOpened;
use crate::name::{Name, Tenant, Vendor};
use crate::outcome::OutcomeState;
use crate::time::Timestamp;

/// Sets version 8 and the variant of RFC 9562 over 16 bytes of H.
fn uuid(digest: &Digest) -> [u8; 16] {
    let mut bytes: [u8; 16] = digest[..16].try_into().expect("a digest has 32 bytes");
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

/// As `uuid`, behind 48 bits of milliseconds. A time before 1970 counts as 0.
fn dated_uuid(watermark: Timestamp, digest: &Digest) -> [u8; 16] {
    let mut bytes = uuid(digest);
    bytes[..6].copy_from_slice(&watermark.millis().max(0).to_be_bytes()[2..]);
    bytes
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 16]);

        impl $name {
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> $name {
                $name(bytes)
            }

            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = uuid_text(&self.0);
                formatter.write_str(std::str::from_utf8(&text).expect("digits and dashes"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<$name, Self::Err> {
                parse_uuid(text).map($name).ok_or("expected a UUID: 32 hexadecimal digits, dashes allowed")
            }
        }
    };
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let (mut value, mut digits) = (0_u128, 0);
    for byte in text.bytes().filter(|byte| *byte != b'-') {
        value = value << 4 | u128::from(char::from(byte).to_digit(16)?);
        digits += 1;
    }
    (digits == 32).then(|| value.to_be_bytes())
}

/// Ids stand in every header: written in one go, without allocating.
fn uuid_text(bytes: &[u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 0x0f)];
        at += 2;
    }
    text
}

id!(
    /// Of a fact: H(tenant, vendor, account, kind, object, version or delivery, item), without time.
    FactId
);
id!(
    /// Of one run of a workflow: H(tenant, workflow, subject, trigger fact).
    InstanceId
);
id!(
    /// Of a command, and its idempotency key: H(tenant, instance, step, iteration, ordinal).
    CommandId
);
id!(
    /// Of what one step concluded: H(tenant, fact or wakeup).
    DecisionId
);
id!(
    /// Of a wakeup: H(instance, name, due, round).
    WakeupId
);
id!(
    /// Of one history of a log; a cursor of another one does not fit.
    Lineage
);
id!(
    /// Of a key in the vault.
    KeyId
);

/// SHA-256 of a workflow's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DefinitionHash(pub [u8; 32]);

/// What a fact's id is derived from, beside its tenant and source.
#[derive(Clone, Copy, Debug)]
pub struct FactIdentity<'a> {
    pub tenant: &'a str,
    pub vendor: &'a str,
    pub account: &'a str,
    /// The fact's type, such as `commerce.cart.updated.v1`.
    pub kind: &'a str,
    /// The object it is about: the vendor's id of it.
    pub object: &'a [u8],
    /// The object's version; where it has none, the delivery's id.
    pub version: &'a [u8],
    /// Tells several facts of one object and version apart; empty for the only one.
    pub item: &'a [u8],
}

impl FactId {
    #[must_use]
    pub fn derive(identity: &FactIdentity<'_>) -> FactId {
        FactId(uuid(&hash::derive(
            "fact",
            &[
                identity.tenant.as_bytes(),
                identity.vendor.as_bytes(),
                identity.account.as_bytes(),
                identity.kind.as_bytes(),
                identity.object,
                identity.version,
                identity.item,
            ],
        )))
    }

    /// Of an outcome: H(command, attempt, state). `expired` and `cancelled`
    /// belong to the command, not to an attempt.
    #[must_use]
    pub fn of_outcome(command: CommandId, attempt: u32, state: OutcomeState) -> FactId {
        let state_name = state.as_str().as_bytes();
        FactId(uuid(&match state {
            OutcomeState::Expired | OutcomeState::Cancelled => {
                hash::derive("outcome", &[command.as_bytes(), state_name])
            }
            OutcomeState::Accepted
            | OutcomeState::Succeeded
            | OutcomeState::Rejected
            | OutcomeState::Throttled
            | OutcomeState::Failed
            | OutcomeState::Unknown
            | OutcomeState::Superseded
            | OutcomeState::Quarantined
            | OutcomeState::Resolved
            | OutcomeState::Compensated
            | OutcomeState::DeadLettered => {
                hash::derive("outcome", &[command.as_bytes(), &attempt.to_be_bytes(), state_name])
            }
        }))
    }

    /// Of a fact of ours that sets something of a tenant up: `object` is what is
    /// set, `version` counts how often it was.
    #[must_use]
    pub fn of_set_up(tenant: &Tenant, kind: &str, object: &str, version: u64) -> FactId {
        FactId::derive(&FactIdentity {
            tenant: tenant.as_str(),
            vendor: Vendor::ourselves().as_str(),
            account: "",
            kind,
            object: object.as_bytes(),
            version: &version.to_be_bytes(),
            item: b"",
        })
    }

    /// Of the fact that a gap was opened, in the order of its tenant.
    #[must_use]
    pub fn of_gap(tenant: &Tenant, opened: &GapOpened) -> FactId {
        let object = opened.connection.as_ref().map(|connection| format!("{}/{connection}", opened.vendor));
        FactId::derive(&FactIdentity {
            tenant: tenant.as_str(),
            vendor: Vendor::ourselves().as_str(),
            account: "",
            kind: "tradewind.gap.opened.v1",
            object: object.unwrap_or_default().as_bytes(),
            version: &opened.from.millis().to_be_bytes(),
            item: b"",
        })
    }

    /// Of the fact that brings a directory entry into a tenant's order: H(entry, version).
    #[must_use]
    pub fn of_entry(entry: &str, version: u64) -> FactId {
        FactId(uuid(&hash::derive("entry", &[entry.as_bytes(), &version.to_be_bytes()])))
    }
}

impl InstanceId {
    /// `subject` is the entity the trigger names, never a component of linked ones.
    #[must_use]
    pub fn derive(
        watermark: Timestamp,
        tenant: &Tenant,
        workflow: &Name,
        subject: &EntityKey,
        trigger: FactId,
    ) -> InstanceId {
        let parts: [&[u8]; 4] = [tenant.as_bytes(), workflow.as_bytes(), subject.as_bytes(), trigger.as_bytes()];
        InstanceId(dated_uuid(watermark, &hash::derive("instance", &parts)))
    }
}

impl CommandId {
    #[must_use]
    pub fn derive(
        watermark: Timestamp,
        tenant: &Tenant,
        instance: InstanceId,
        step: &Name,
        iteration: u32,
        ordinal: u32,
    ) -> CommandId {
        let parts: [&[u8]; 5] =
            [tenant.as_bytes(), instance.as_bytes(), step.as_bytes(), &iteration.to_be_bytes(), &ordinal.to_be_bytes()];
        CommandId(dated_uuid(watermark, &hash::derive("command", &parts)))
    }
}

impl DecisionId {
    /// What was decided when `fact` was folded.
    #[must_use]
    pub fn of_fold(watermark: Timestamp, tenant: &Tenant, fact: FactId) -> DecisionId {
        DecisionId(dated_uuid(watermark, &hash::derive("decision", &[tenant.as_bytes(), fact.as_bytes()])))
    }

    /// What was decided when `wakeup` fired.
    #[must_use]
    pub fn of_wakeup(watermark: Timestamp, tenant: &Tenant, wakeup: WakeupId) -> DecisionId {
        DecisionId(dated_uuid(watermark, &hash::derive("decision", &[tenant.as_bytes(), wakeup.as_bytes()])))
    }
}

impl WakeupId {
    #[must_use]
    pub fn derive(instance: InstanceId, name: &Name, due: Timestamp, round: u32) -> WakeupId {
        let parts: [&[u8]; 4] =
            [instance.as_bytes(), name.as_bytes(), &due.millis().to_be_bytes(), &round.to_be_bytes()];
        WakeupId(uuid(&hash::derive("wakeup", &parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::{EntityKey, EntityKind};
    use crate::name::{Account, ConnectionName};

    const NOON: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn tenant() -> Tenant {
        Tenant::new("demo").unwrap()
    }

    fn cart() -> EntityKey {
        EntityKey::at_vendor(
            EntityKind::Cart,
            &Vendor::new("shopify").unwrap(),
            &Account::new("demo.myshopify.com").unwrap(),
            "eeafa272cebfd4b22385bc4b645e762c",
        )
    }

    fn fact() -> FactId {
        FactId::derive(&FactIdentity {
            tenant: "demo",
            vendor: "shopify",
            account: "demo.myshopify.com",
            kind: "commerce.cart.updated.v1",
            object: b"eeafa272cebfd4b22385bc4b645e762c",
            version: b"2026-11-24T12:00:00Z",
            item: b"",
        })
    }

    fn instance() -> InstanceId {
        InstanceId::derive(NOON, &tenant(), &Name::fixed("cart-recovery"), &cart(), fact())
    }

    /// The expected ids were computed outside this code, from the recipes of
    /// docs/CONTRACT.md (a few lines of Python, `docs/contract_vectors.py`).
    #[test]
    fn the_recipes_never_change() {
        let command = CommandId::derive(NOON, &tenant(), instance(), &Name::fixed("remind"), 1, 0);
        let wakeup = WakeupId::derive(instance(), &Name::fixed("quiet"), NOON, 0);
        assert_eq!(fact().to_string(), "4094fc02-af4b-8116-83ee-1218efd32dcf");
        assert_eq!(instance().to_string(), "018bcfe5-6800-8f95-8752-1943c3b2ac39");
        assert_eq!(command.to_string(), "018bcfe5-6800-8b34-ae25-5668756e68ed");
        assert_eq!(wakeup.to_string(), "c9502534-6a74-8949-bbc4-6715e07adcc8");
        assert_eq!(DecisionId::of_fold(NOON, &tenant(), fact()).to_string(), "018bcfe5-6800-885f-99f4-39d6be8e8ed1");
        assert_eq!(DecisionId::of_wakeup(NOON, &tenant(), wakeup).to_string(), "018bcfe5-6800-85a9-a09f-39f2ad13677a");
        assert_eq!(
            FactId::of_outcome(command, 2, OutcomeState::Succeeded).to_string(),
            "55689d70-e18b-8666-b37b-9b390916ef79"
        );
        assert_eq!(
            FactId::of_outcome(command, 2, OutcomeState::Expired).to_string(),
            "086b9eda-86ad-8255-987f-5f26734f616f"
        );
        assert_eq!(
            FactId::of_outcome(command, 2, OutcomeState::Cancelled).to_string(),
            "8a5bb94d-5b70-8906-96e8-2a992a85948b"
        );
        assert_eq!(FactId::of_entry("connection/demo/store", 3).to_string(), "cdc757a4-29f8-8b9f-806e-0c36af7d053c");
    }

    #[test]
    fn what_is_derived_is_known_by_its_object_and_the_fact_it_follows_from() {
        let abandoned = FactId::derive(&FactIdentity {
            tenant: "demo",
            vendor: "tradewind",
            account: "",
            kind: "commerce.cart.abandoned.v1",
            object: cart().as_bytes(),
            version: fact().as_bytes(),
            item: b"",
        });
        assert_eq!(abandoned.to_string(), "64d13931-c9d0-80d6-8833-19de0954c279");
    }

    #[test]
    fn the_recipe_of_the_set_up_never_changes() {
        let id = |kind, object, version| FactId::of_set_up(&tenant(), kind, object, version).to_string();
        assert_eq!(id("tradewind.setting.set.v1", "cap_per_week", 7), "420bce7e-ef12-881c-8083-b1d69d09a3d3");
        assert_eq!(id("tradewind.binding.set.v1", "message.send/email", 7), "ed734294-a801-81a8-9a31-5c490b193822");
        assert_eq!(id("tradewind.definition.activated.v1", "cart-recovery", 7), "590390b7-6124-81ee-965f-a62263202e37");
    }

    #[test]
    fn the_recipe_of_gaps_never_changes() {
        let (vendor, connection) = (Vendor::new("shopify").unwrap(), ConnectionName::new("store").unwrap());
        let opened = GapOpened { vendor, connection: Some(connection), from: NOON };
        assert_eq!(FactId::of_gap(&tenant(), &opened).to_string(), "e8f0ad37-5287-864e-9897-cb39b016a116");
    }

    #[test]
    fn an_expired_command_has_one_outcome_whatever_the_attempt() {
        let command = CommandId::from_bytes([7; 16]);
        let of = |attempt, state| FactId::of_outcome(command, attempt, state);
        assert_eq!(of(1, OutcomeState::Expired), of(2, OutcomeState::Expired));
        assert_ne!(of(1, OutcomeState::Failed), of(2, OutcomeState::Failed));
    }

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = fact();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("1234".parse::<FactId>().is_err());
        assert!("zz000000-0000-8000-8000-000000000000".parse::<FactId>().is_err());
        assert!(format!("{id}00").parse::<FactId>().is_err());
    }

    #[test]
    fn decisions_sort_by_the_time_they_were_taken() {
        let at = |millis| DecisionId::of_fold(Timestamp::from_millis(millis), &tenant(), fact());
        assert!(at(1_000) < at(1_001));
    }
}
