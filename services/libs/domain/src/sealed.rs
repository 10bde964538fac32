//! A personal field as it stands on a log: ciphertext with what is needed to
//! open it. The sealing itself is in `wire`; the layout is here, for good.

use serde::{Deserialize, Serialize};

use crate::entity::EntityKey;
use crate::hash::{self, Digest};
use crate::id::{FactId, KeyId};
use crate::name::Tenant;

/// A sealed field: portable into projections and commands, since what it is
/// bound to (its origin and its name) travels with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sealed {
    /// 1: AES-256-GCM-SIV.
    pub algorithm: u32,
    pub key_id: KeyId,
    pub origin: FactId,
    pub field: Box<str>,
    pub ciphertext: Box<[u8]>,
}

/// What the ciphertext is bound to: origin fact ‖ field.
#[must_use]
pub fn seal_associated_data(origin: FactId, field: &str) -> Vec<u8> {
    [origin.as_bytes().as_slice(), field.as_bytes()].concat()
}

/// The nonce: the first 12 bytes of H("nonce", origin, field). A fact that is
/// delivered twice seals to the same bytes; AES-GCM-SIV tells an onlooker no
/// more than that where a nonce returns.
#[must_use]
pub fn seal_nonce(origin: FactId, field: &str) -> [u8; 12] {
    let digest = hash::derive("nonce", &[origin.as_bytes(), field.as_bytes()]);
    digest[..12].try_into().expect("a digest has 32 bytes")
}

/// What the vault knows a sealing key's owner by: H("owner", tenant, entity).
#[must_use]
pub fn key_owner_digest(tenant: &Tenant, owner: &EntityKey) -> Digest {
    hash::derive("owner", &[tenant.as_bytes(), owner.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::{EntityKind, IdentifierHash};
    use crate::name::{Account, Vendor};

    /// From docs/contract_vectors.py.
    #[test]
    fn the_owner_of_an_objects_key_never_changes() {
        let (vendor, account) = (Vendor::new("shopify").unwrap(), Account::new("demo.myshopify.com").unwrap());
        let cart = EntityKey::at_vendor(EntityKind::Cart, &vendor, &account, "eeafa272cebfd4b22385bc4b645e762c");
        let digest = key_owner_digest(&Tenant::new("demo").unwrap(), &cart);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "191790b3bd31eeda000e30a2f8cd39d7ce67a8b26b258f7a776312213e60c6b6");
    }

    /// Computed outside this code:
    /// `printf '\0\0\0\5owner\0\0\0\4demo\0\0\0\24\1\0\0\1\11\11\11\11\11\11\11\11\11\11\11\11\11\11\11\11' | sha256sum`.
    #[test]
    fn the_digest_of_a_keys_owner_never_changes() {
        let owner = EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes([9; 16]));
        let digest = key_owner_digest(&Tenant::new("demo").unwrap(), &owner);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "24abb3f518b4460df241b7d9d4e41f24f7204b121fd66b21b2f79c6176455b33");
    }
}
