//! Entities as they stand in addresses: as they print, with slashes inside a part
//! escaped, so that every key can be read back.

use tradewind_domain::{Account, EntityId, EntityKey, EntityKind, IdentifierHash, Vendor};

const KINDS: [EntityKind; 7] = [
    EntityKind::Email,
    EntityKind::Phone,
    EntityKind::Customer,
    EntityKind::Cart,
    EntityKind::Checkout,
    EntityKind::Order,
    EntityKind::Ticket,
];

/// The entity of `cart/shopify/demo.example.com/1` or `email/<hash in hex>`; `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<EntityKey> {
    let (kind, rest) = text.split_once('/')?;
    let kind = KINDS.into_iter().find(|known| known.as_str() == kind)?;
    let mut parts = rest.splitn(3, '/');
    match (parts.next()?, parts.next(), parts.next()) {
        (hash, None, None) => Some(EntityKey::identifier(kind, IdentifierHash::from_bytes(hash_bytes(hash)?))),
        (vendor, Some(account), Some(id)) => {
            let account = Account::new(&unescaped(account)).ok()?;
            Some(EntityKey::at_vendor(kind, &Vendor::new(vendor).ok()?, &account, &unescaped(id)))
        }
        (_, _, _) => None,
    }
}

/// What [`parse`] reads back.
#[must_use]
pub fn text(entity: &EntityKey) -> String {
    match entity.id() {
        EntityId::Hash(_) => entity.to_string(),
        EntityId::Vendor(id) => {
            let escaped = |part: &str| part.replace('%', "%25").replace('/', "%2F");
            let (account, id) = (escaped(entity.account()), escaped(id));
            format!("{}/{}/{account}/{id}", entity.kind().as_str(), entity.vendor())
        }
    }
}

fn unescaped(part: &str) -> String {
    part.replace("%2F", "/").replace("%25", "%")
}

fn hash_bytes(text: &str) -> Option<[u8; 16]> {
    let digits = (text.len() == 32 && text.is_ascii()).then_some(text)?;
    Some(u128::from_str_radix(digits, 16).ok()?.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_read_back_from_its_text() {
        let vendor = Vendor::new("shopify").unwrap();
        for (account, id) in [("demo.example.com", "12"), ("a/b", "c/d%2F"), ("", "")] {
            let key = EntityKey::at_vendor(EntityKind::Cart, &vendor, &Account::new(account).unwrap(), id);
            assert_eq!(parse(&text(&key)), Some(key), "{account} {id}");
        }
        let email = EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes([9; 16]));
        assert_eq!(parse(&text(&email)), Some(email));
    }

    #[test]
    fn what_names_no_entity_is_none() {
        for text in
            ["", "cart", "cart/12", "pet/shopify/demo/1", "email/0g", "cart/Shop ify/demo/1", "cart/shopify/demo"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
