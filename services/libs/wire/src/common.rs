//! Conversions of the vocabulary the message families share, and the few rules
//! by which all fields are read.

use std::borrow::Borrow;
use std::cell::RefCell;

use prost::Message;
use tradewind_domain::{
    Account, CommandId, ConnectionName, Currency, DecisionId, DefinitionHash, EntityId, EntityKey, FactId,
    IdentifierHash, InstanceId, KeyId, Lineage, Money, Name, NameError, Position, Sealed, Tenant, Timestamp, Vendor,
    WakeupId,
};

use crate::error::{DecodeError, Mismatch};
use crate::proto;

/// A domain type and the protobuf type it travels as.
pub(crate) trait Wire: Sized {
    type Proto;

    fn to_proto(&self) -> Self::Proto;
    fn from_proto(proto: Self::Proto) -> Result<Self, Mismatch>;
}

/// A field that is always there.
pub(crate) fn field<T: Wire>(proto: T::Proto, name: &'static str) -> Result<T, Mismatch> {
    T::from_proto(proto).map_err(|mismatch| mismatch.within(name))
}

/// A message that must be set.
pub(crate) fn required<T: Wire>(proto: Option<T::Proto>, name: &'static str) -> Result<T, Mismatch> {
    field(proto.ok_or_else(|| Mismatch::new("a message", "none").within(name))?, name)
}

/// A message that may be absent.
pub(crate) fn optional<T: Wire>(proto: Option<T::Proto>, name: &'static str) -> Result<Option<T>, Mismatch> {
    proto.map(|proto| field(proto, name)).transpose()
}

/// A scalar whose zero, or emptiness, says that it is not known.
pub(crate) fn unless_blank<T: Wire>(proto: T::Proto, name: &'static str) -> Result<Option<T>, Mismatch>
where
    T::Proto: Default + PartialEq,
{
    if proto == T::Proto::default() { Ok(None) } else { field(proto, name).map(Some) }
}

pub(crate) fn list<T: Wire>(protos: Vec<T::Proto>, name: &'static str) -> Result<Vec<T>, Mismatch> {
    let read =
        |(index, proto)| T::from_proto(proto).map_err(|mismatch| mismatch.within(format_args!("{name}[{index}]")));
    protos.into_iter().enumerate().map(read).collect()
}

/// The member of a oneof that is set.
pub(crate) fn one_of<T>(body: Option<T>, name: &'static str) -> Result<T, Mismatch> {
    body.ok_or_else(|| Mismatch::new("one of the alternatives this release knows", "none").within(name))
}

pub(crate) fn to_list<T: Wire>(values: &[T]) -> Vec<T::Proto> {
    values.iter().map(Wire::to_proto).collect()
}

pub(crate) fn to_option<T: Wire>(value: Option<&T>) -> Option<T::Proto> {
    value.map(Wire::to_proto)
}

pub(crate) fn or_blank<T: Wire>(value: Option<&T>) -> T::Proto
where
    T::Proto: Default,
{
    value.map(Wire::to_proto).unwrap_or_default()
}

/// Reads a whole value.
pub(crate) fn decode<T: Wire>(message: &'static str, bytes: &[u8]) -> Result<T, DecodeError>
where
    T::Proto: Message + Default,
{
    let proto = parse(message, bytes)?;
    T::from_proto(proto).map_err(|mismatch| mismatch.of(message))
}

/// Reads a whole value as it stands, unknown fields aside.
pub(crate) fn parse<P: Message + Default>(message: &'static str, bytes: &[u8]) -> Result<P, DecodeError> {
    P::decode(bytes).map_err(|reason| DecodeError::Malformed { message, reason: reason.to_string() })
}

/// Reads a message that stands inside another one as bytes.
pub(crate) fn embedded<T: Wire>(bytes: &[u8], name: &'static str) -> Result<T, Mismatch>
where
    T::Proto: Message + Default,
{
    let proto = T::Proto::decode(bytes).map_err(|reason| {
        Mismatch::new("an encoded message", format_args!("bytes that are none: {reason}")).within(name)
    })?;
    field(proto, name)
}

macro_rules! wire_bytes {
    ($($size:literal $expected:literal),* $(,)?) => {
        $(impl Wire for [u8; $size] {
            type Proto = Vec<u8>;

            fn to_proto(&self) -> Vec<u8> {
                self.to_vec()
            }

            fn from_proto(proto: Vec<u8>) -> Result<[u8; $size], Mismatch> {
                let bytes = proto.as_slice();
                bytes.try_into().map_err(|_| Mismatch::new($expected, bytes.len()))
            }
        })*
    };
}

wire_bytes!(12 "12 bytes", 16 "16 bytes", 32 "32 bytes");

macro_rules! wire_id {
    ($($name:ident),* $(,)?) => {
        $(impl Wire for $name {
            type Proto = Vec<u8>;

            fn to_proto(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }

            fn from_proto(proto: Vec<u8>) -> Result<$name, Mismatch> {
                Wire::from_proto(proto).map($name::from_bytes)
            }
        })*
    };
}

wire_id!(FactId, InstanceId, CommandId, DecisionId, WakeupId, Lineage, KeyId, IdentifierHash);

impl Wire for DefinitionHash {
    type Proto = Vec<u8>;

    fn to_proto(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn from_proto(proto: Vec<u8>) -> Result<DefinitionHash, Mismatch> {
        Wire::from_proto(proto).map(DefinitionHash)
    }
}

/// Names come back in record after record, so each thread keeps the ones it read
/// last: most are then neither checked again nor allocated again.
struct Known<T>(Vec<Option<T>>);

impl<T: Clone + Borrow<str>> Known<T> {
    const SLOTS: usize = 256;

    fn get_or_check<E>(&mut self, text: &str, check: impl Fn(&str) -> Result<T, E>) -> Result<T, E> {
        // Any function of the text will do; this one mixes well enough for names.
        let hash = text.bytes().fold(text.len(), |hash, byte| (hash ^ usize::from(byte)).wrapping_mul(0x0100_0193));
        if self.0.is_empty() {
            self.0.resize(Self::SLOTS, None);
        }
        let slot = &mut self.0[(hash ^ hash >> 15) % Self::SLOTS];
        if let Some(name) = slot.as_ref().filter(|known| (*known).borrow() == text) {
            return Ok(name.clone());
        }
        let name = check(text)?;
        *slot = Some(name.clone());
        Ok(name)
    }
}

/// A name that is read from text.
pub(crate) trait ReadName: Sized {
    fn read(text: &str) -> Result<Self, NameError>;
}

macro_rules! wire_name {
    ($($name:ident),* $(,)?) => {
        $(impl ReadName for $name {
            fn read(text: &str) -> Result<$name, NameError> {
                thread_local! {
                    static KNOWN: RefCell<Known<$name>> = const { RefCell::new(Known(Vec::new())) };
                }
                KNOWN.with_borrow_mut(|known| known.get_or_check(text, $name::new))
            }
        }

        impl Wire for $name {
            type Proto = String;

            fn to_proto(&self) -> String {
                self.as_str().into()
            }

            fn from_proto(proto: String) -> Result<$name, Mismatch> {
                $name::read(&proto).map_err(|refused| Mismatch::text(refused.kind, &refused.text))
            }
        })*
    };
}

wire_name!(Tenant, Vendor, Account, ConnectionName, Name);

/// An enum whose unspecified value is an error.
macro_rules! wire_enum {
    ($name:ident { $($variant:ident),* $(,)? }) => {
        impl $crate::common::Wire for tradewind_domain::$name {
            type Proto = i32;

            fn to_proto(&self) -> i32 {
                i32::from(match self {
                    $(tradewind_domain::$name::$variant => $crate::proto::$name::$variant,)*
                })
            }

            fn from_proto(number: i32) -> Result<Self, $crate::error::Mismatch> {
                match $crate::proto::$name::try_from(number) {
                    $(Ok($crate::proto::$name::$variant) => Ok(tradewind_domain::$name::$variant),)*
                    Ok($crate::proto::$name::Unspecified) | Err(_) => Err($crate::error::Mismatch::new(
                        concat!("a number of ", stringify!($name), " that this release knows"),
                        number,
                    )),
                }
            }
        }
    };
}

pub(crate) use wire_enum;

wire_enum!(EntityKind { Email, Phone, Customer, Cart, Checkout, Order, Ticket });

impl Wire for Timestamp {
    type Proto = i64;

    fn to_proto(&self) -> i64 {
        self.millis()
    }

    fn from_proto(proto: i64) -> Result<Timestamp, Mismatch> {
        Ok(Timestamp::from_millis(proto))
    }
}

impl Wire for Money {
    type Proto = proto::Money;

    fn to_proto(&self) -> proto::Money {
        proto::Money { minor: self.minor, currency: self.currency.as_str().into() }
    }

    fn from_proto(proto: proto::Money) -> Result<Money, Mismatch> {
        let currency: Currency = proto
            .currency
            .parse()
            .map_err(|_| Mismatch::text("three capitals of ISO 4217", &proto.currency).within("currency"))?;
        Ok(Money { minor: proto.minor, currency })
    }
}

impl Wire for EntityKey {
    type Proto = proto::EntityKey;

    fn to_proto(&self) -> proto::EntityKey {
        proto::EntityKey {
            kind: self.kind().to_proto(),
            vendor: self.vendor().into(),
            account: self.account().into(),
            id: Some(match self.id() {
                EntityId::Vendor(object) => proto::entity_key::Id::Object(object.into()),
                EntityId::Hash(hash) => proto::entity_key::Id::Hash(hash.to_proto()),
            }),
        }
    }

    fn from_proto(proto: proto::EntityKey) -> Result<EntityKey, Mismatch> {
        let kind = field(proto.kind, "kind")?;
        let (vendor, account) = (field(proto.vendor, "vendor")?, field(proto.account, "account")?);
        let id = match one_of(proto.id, "id")? {
            proto::entity_key::Id::Object(object) => return Ok(EntityKey::at_vendor(kind, &vendor, &account, &object)),
            proto::entity_key::Id::Hash(hash) => EntityId::Hash(field(hash, "hash")?),
        };
        Ok(EntityKey::new(kind, &vendor, &account, id))
    }
}

impl Wire for Sealed {
    type Proto = proto::Sealed;

    fn to_proto(&self) -> proto::Sealed {
        proto::Sealed {
            algorithm: self.algorithm,
            key_id: self.key_id.to_proto(),
            origin_fact: self.origin.to_proto(),
            field: self.field.to_string(),
            ciphertext: self.ciphertext.to_vec(),
        }
    }

    fn from_proto(proto: proto::Sealed) -> Result<Sealed, Mismatch> {
        Ok(Sealed {
            algorithm: proto.algorithm,
            key_id: field(proto.key_id, "key_id")?,
            origin: field(proto.origin_fact, "origin_fact")?,
            field: proto.field.into(),
            ciphertext: proto.ciphertext.into(),
        })
    }
}

impl Wire for Position {
    type Proto = proto::Position;

    fn to_proto(&self) -> proto::Position {
        proto::Position { offset: self.offset, step: self.step }
    }

    fn from_proto(proto: proto::Position) -> Result<Position, Mismatch> {
        Ok(Position { offset: proto.offset, step: proto.step })
    }
}
