//! What facts are about: the objects of vendors, and the identifiers of people
//! in hashed form. Every entity has one leaf of its own among the projections.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

use crate::name::{Account, Vendor};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntityKind {
    Email,
    Phone,
    /// A vendor's own customer.
    Customer,
    Cart,
    Checkout,
    Order,
    Ticket,
}

impl EntityKind {
    /// The word in keys and headers; never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            EntityKind::Email => "email",
            EntityKind::Phone => "phone",
            EntityKind::Customer => "customer",
            EntityKind::Cart => "cart",
            EntityKind::Checkout => "checkout",
            EntityKind::Order => "order",
            EntityKind::Ticket => "ticket",
        }
    }

    /// The number in keys and on the wire; never changes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            EntityKind::Email => 1,
            EntityKind::Phone => 2,
            EntityKind::Customer => 3,
            EntityKind::Cart => 4,
            EntityKind::Checkout => 5,
            EntityKind::Order => 6,
            EntityKind::Ticket => 7,
        }
    }

    /// The kind of this number.
    #[must_use]
    pub const fn of_number(number: u8) -> Option<EntityKind> {
        Some(match number {
            1 => EntityKind::Email,
            2 => EntityKind::Phone,
            3 => EntityKind::Customer,
            4 => EntityKind::Cart,
            5 => EntityKind::Checkout,
            6 => EntityKind::Order,
            7 => EntityKind::Ticket,
            _ => return None,
        })
    }
}

/// HMAC of a contact identifier under the tenant's pepper: equal values join,
/// and nobody without the pepper can tell whose they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdentifierHash([u8; 16]);

/// The version of the normalisation below. Another one would be another number,
/// recorded with the connection, and both hashes would be named for a while.
pub const NORMALISATION_VERSION: u32 = 1;

/// The tenant's secret in every identifier's hash.
#[derive(Clone)]
pub struct Pepper(Vec<u8>);

impl Pepper {
    /// Fewest bytes of a pepper: below it, hashes could be searched.
    pub const MIN_BYTES: usize = 32;

    /// `None` if it is shorter than [`Pepper::MIN_BYTES`].
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Pepper> {
        (bytes.len() >= Pepper::MIN_BYTES).then_some(Pepper(bytes))
    }

    /// The identifier of an e-mail address: trimmed, ASCII letters lowered. Dots
    /// and plus signs stay, since whether they matter is the provider's rule.
    /// `None` if it is no address.
    #[must_use]
    pub fn email(&self, address: &str) -> Option<EntityKey> {
        let normal = address.trim().to_ascii_lowercase();
        let (local, domain) = normal.rsplit_once('@')?;
        let is_address = !local.is_empty()
            && domain.contains('.')
            && !normal.contains(|c: char| c.is_whitespace() || c.is_control());
        is_address.then(|| EntityKey::identifier(EntityKind::Email, self.hash(EntityKind::Email, &normal)))
    }

    /// The identifier of a telephone number that is already in E.164: a plus
    /// sign and 7 to 15 digits; spaces, dashes, dots and brackets are dropped.
    /// `None` for a national number, which would need a table of countries.
    #[must_use]
    pub fn phone(&self, number: &str) -> Option<EntityKey> {
        let digits = number.trim().strip_prefix('+')?;
        let digits: String = digits.chars().filter(|character| !" -.()".contains(*character)).collect();
        let is_e164 = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_e164.then(|| EntityKey::identifier(EntityKind::Phone, self.hash(EntityKind::Phone, &format!("+{digits}"))))
    }

    /// The first 16 bytes of HMAC-SHA256 over kind and value, each behind its
    /// big-endian `u32` length.
    fn hash(&self, kind: EntityKind, normal: &str) -> IdentifierHash {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in [kind.as_str(), normal] {
            mac.update(&u32::try_from(part.len()).expect("an identifier is short").to_be_bytes());
            mac.update(part.as_bytes());
        }
        let tag = mac.finalize().into_bytes();
        IdentifierHash(tag[..16].try_into().expect("a tag has 32 bytes"))
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pepper(…)")
    }
}

impl IdentifierHash {
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> IdentifierHash {
        IdentifierHash(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for IdentifierHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// What names an entity among those of its kind, vendor and account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityId<'a> {
    Vendor(&'a str),
    Hash(IdentifierHash),
}

/// Names one entity of a tenant. Cheap to clone, to compare and to hash: it is
/// nothing but its bytes, see [`EntityKey::as_bytes`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey(Arc<[u8]>);

impl EntityKey {
    /// A contact identifier. It belongs to the tenant, whichever vendor named it.
    #[must_use]
    pub fn identifier(kind: EntityKind, hash: IdentifierHash) -> EntityKey {
        EntityKey::new(kind, &Vendor::none(), &Account::none(), EntityId::Hash(hash))
    }

    #[must_use]
    pub fn at_vendor(kind: EntityKind, vendor: &Vendor, account: &Account, id: &str) -> EntityKey {
        EntityKey::new(kind, vendor, account, EntityId::Vendor(id))
    }

    /// # Panics
    ///
    /// Never: a name has at most 190 bytes.
    #[must_use]
    pub fn new(kind: EntityKind, vendor: &Vendor, account: &Account, id: EntityId<'_>) -> EntityKey {
        let (tag, id): (u8, &[u8]) = match &id {
            EntityId::Vendor(id) => (0, id.as_bytes()),
            EntityId::Hash(hash) => (1, hash.as_bytes()),
        };
        let mut bytes = Vec::with_capacity(4 + vendor.as_bytes().len() + account.as_bytes().len() + id.len());
        bytes.push(kind.number());
        for name in [vendor.as_bytes(), account.as_bytes()] {
            bytes.push(u8::try_from(name.len()).expect("a name has at most 190 bytes"));
            bytes.extend_from_slice(name);
        }
        bytes.push(tag);
        bytes.extend_from_slice(id);
        EntityKey(bytes.into())
    }

    /// The key of these bytes; `None` if they are no key's.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<EntityKey> {
        let parts = Parts::of(bytes)?;
        Vendor::new(parts.vendor).ok()?;
        Account::new(parts.account).ok()?;
        Some(EntityKey(bytes.into()))
    }

    /// The key as bytes, for hashing and storing: kind, vendor and account each
    /// behind one byte of length, then 0 and a vendor's id or 1 and a hash. The
    /// layout never changes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[must_use]
    pub fn kind(&self) -> EntityKind {
        EntityKind::of_number(self.0[0]).expect("checked when it was made")
    }

    /// Empty for an identifier.
    #[must_use]
    pub fn vendor(&self) -> &str {
        self.parts().vendor
    }

    /// Empty for an identifier.
    #[must_use]
    pub fn account(&self) -> &str {
        self.parts().account
    }

    #[must_use]
    pub fn id(&self) -> EntityId<'_> {
        self.parts().id
    }

    fn parts(&self) -> Parts<'_> {
        Parts::of(&self.0).expect("checked when it was made")
    }
}

struct Parts<'a> {
    vendor: &'a str,
    account: &'a str,
    id: EntityId<'a>,
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Option<Parts<'a>> {
        let (kind, rest) = bytes.split_first()?;
        EntityKind::of_number(*kind)?;
        let (vendor, rest) = name(rest)?;
        let (account, rest) = name(rest)?;
        let id = match rest.split_first()? {
            (0, id) => EntityId::Vendor(std::str::from_utf8(id).ok()?),
            (1, hash) => EntityId::Hash(IdentifierHash(hash.try_into().ok()?)),
            _ => return None,
        };
        Some(Parts { vendor, account, id })
    }
}

/// A name behind one byte of length, and what comes after it.
fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

impl Serialize for EntityKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for EntityKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EntityKey, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = EntityKey;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the bytes of an entity's key")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<EntityKey, E> {
                EntityKey::from_bytes(bytes).ok_or_else(|| E::invalid_value(Unexpected::Bytes(bytes), &self))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

impl fmt::Display for EntityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { vendor, account, id } = self.parts();
        match id {
            EntityId::Vendor(id) => write!(formatter, "{}/{vendor}/{account}/{id}", self.kind().as_str()),
            EntityId::Hash(hash) => write!(formatter, "{}/{hash:?}", self.kind().as_str()),
        }
    }
}

impl fmt::Debug for EntityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper() -> Pepper {
        Pepper::new(b"0123456789abcdef0123456789abcdef".to_vec()).unwrap()
    }

    /// Computed outside this code, see `docs/contract_vectors.py`.
    #[test]
    fn the_hash_of_an_identifier_never_changes() {
        assert_eq!(pepper().email("ada@example.com").unwrap().to_string(), "email/cc5c6a7dcbab85057902b7e744a053d0");
        assert_eq!(pepper().phone("+4915112345678").unwrap().to_string(), "phone/850ba822cff35529d475f64396f84e23");
    }

    #[test]
    fn spellings_of_one_address_are_one_identifier() {
        let ada = pepper().email("ada@example.com");
        assert_eq!(pepper().email("  Ada@Example.COM "), ada);
        assert_ne!(pepper().email("a.da@example.com"), ada);
        assert_ne!(pepper().email("ada+shop@example.com"), ada);
        assert_eq!(pepper().phone("+49 (151) 123-456.78"), pepper().phone("+4915112345678"));
    }

    #[test]
    fn what_is_no_identifier_names_nobody() {
        for address in ["", "ada", "@example.com", "ada@localhost", "a b@example.com"] {
            assert_eq!(pepper().email(address), None, "{address:?}");
        }
        for number in ["", "0151 1234567", "+12", "+12345678901234567", "+1555CALLNOW"] {
            assert_eq!(pepper().phone(number), None, "{number:?}");
        }
    }

    #[test]
    fn a_short_pepper_is_refused() {
        assert!(Pepper::new(vec![0; 31]).is_none());
    }

    #[test]
    fn the_bytes_of_a_key_never_change() {
        let vendor = Vendor::new("shopify").unwrap();
        let account = Account::new("demo").unwrap();
        assert_eq!(
            EntityKey::at_vendor(EntityKind::Cart, &vendor, &account, "ab").as_bytes(),
            b"\x04\x07shopify\x04demo\x00ab"
        );
        let hashed = EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes([9; 16]));
        assert_eq!(hashed.as_bytes(), [&[1, 0, 0, 1][..], &[9; 16]].concat());
    }

    #[test]
    fn a_key_comes_back_from_its_bytes_and_from_nothing_else() {
        let cart = b"\x04\x07shopify\x04demo\x00ab";
        let key = EntityKey::from_bytes(cart).unwrap();
        assert_eq!((key.kind(), key.vendor(), key.account()), (EntityKind::Cart, "shopify", "demo"));
        assert_eq!((key.id(), key.as_bytes()), (EntityId::Vendor("ab"), &cart[..]));
        for kind in 0..=8 {
            let of_kind = EntityKind::of_number(kind);
            assert_eq!(of_kind.map(EntityKind::number), (1..=7).contains(&kind).then_some(kind));
        }
        for broken in [
            &b""[..],
            b"\x04",
            b"\x09\x07shopify\x04demo\x00ab",
            b"\x04\x07shop",
            b"\x04\x07shopify\x04demo",
            b"\x04\x07shopify\x04demo\x02ab",
            b"\x04\x07SHOPIFY\x04demo\x00ab",
            b"\x04\x07shopify\x04demo\x00\xff",
            b"\x01\x00\x00\x01short",
        ] {
            assert_eq!(EntityKey::from_bytes(broken), None, "{broken:?}");
        }
    }
}
