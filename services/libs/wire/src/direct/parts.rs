//! What facts are made of: references, lines, money, sealed values.

use tradewind_domain::{
    Account, Currency, EntityId, EntityKey, EntityKind, FactId, IdentifierHash, KeyId, Line, Money, Sealed, Vendor,
};

use super::fields::{Value, fields, once};
use crate::common::{ReadName, Wire};

pub(super) fn entity(value: Value<'_>) -> Option<EntityKey> {
    let (mut kind, mut vendor, mut account, mut id) = (None, None, None, None);
    for field in fields(value.bytes()?) {
        let (number, value) = field?;
        match number {
            1 => once(&mut kind, value.number()?)?,
            2 => once(&mut vendor, value.text()?)?,
            3 => once(&mut account, value.text()?)?,
            4 => once(&mut id, EntityId::Vendor(value.text()?))?,
            5 => once(&mut id, EntityId::Hash(IdentifierHash::from_bytes(value.array()?)))?,
            _ => return None,
        }
    }
    let kind = EntityKind::from_proto(kind?).ok()?;
    let vendor = Vendor::read(vendor.unwrap_or_default()).ok()?;
    let account = Account::read(account.unwrap_or_default()).ok()?;
    Some(EntityKey::new(kind, &vendor, &account, id?))
}

pub(super) fn line(value: Value<'_>) -> Option<Line> {
    let mut texts = [None; 5];
    let (mut quantity, mut unit_price) = (None, None);
    for field in fields(value.bytes()?) {
        let (number, value) = field?;
        match number {
            1..=5 => once(&mut texts[usize::from(number) - 1], value.text()?)?,
            6 => once(&mut quantity, value.signed()?)?,
            7 => once(&mut unit_price, money(value)?)?,
            _ => return None,
        }
    }
    let [line_id, variant_id, product_id, sku, title] = texts.map(|text| text.unwrap_or_default().into());
    Some(Line { line_id, variant_id, product_id, sku, title, quantity: quantity.unwrap_or(0), unit_price })
}

pub(super) fn money(value: Value<'_>) -> Option<Money> {
    let (mut minor, mut currency) = (None, None);
    for field in fields(value.bytes()?) {
        let (number, value) = field?;
        match number {
            1 => once(&mut minor, value.signed()?)?,
            2 => once(&mut currency, value.text()?.parse::<Currency>().ok()?)?,
            _ => return None,
        }
    }
    Some(Money { minor: minor.unwrap_or(0), currency: currency? })
}

pub(super) fn sealed(value: Value<'_>) -> Option<Sealed> {
    let (mut algorithm, mut key_id, mut origin, mut name, mut ciphertext) = (None, None, None, None, None);
    for field in fields(value.bytes()?) {
        let (number, value) = field?;
        match number {
            1 => once(&mut algorithm, u32::try_from(value.varint()?).ok()?)?,
            2 => once(&mut key_id, KeyId::from_bytes(value.array()?))?,
            3 => once(&mut origin, FactId::from_bytes(value.array()?))?,
            4 => once(&mut name, value.text()?)?,
            5 => once(&mut ciphertext, value.bytes()?)?,
            _ => return None,
        }
    }
    Some(Sealed {
        algorithm: algorithm.unwrap_or(0),
        key_id: key_id?,
        origin: origin?,
        field: name.unwrap_or_default().into(),
        ciphertext: ciphertext.unwrap_or_default().into(),
    })
}
