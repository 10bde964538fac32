//! base64(HMAC-SHA256(secret, raw body)), and nothing but the body is signed.
//! Topic, shop and times are claims: the token in the address says whose delivery
//! it is, and the translator holds the topic against the shape of the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tradewind_domain::Account;

use super::header;
use crate::inbound::{Delivery, Refusal, Secrets, Verified};

/// # Errors
///
/// The delivery carries no signature of these secrets over these bytes, or names
/// another shop than the connection's.
pub fn verify<'a>(delivery: Delivery<'a>, account: &Account, secrets: &Secrets) -> Result<Verified<'a>, Refusal> {
    let signature = header(|name| delivery.header(name), "hmac-sha256").ok_or(Refusal::Unsigned)?;
    if delivery.body.is_empty() {
        return Err(Refusal::EmptyBody);
    }
    let signature = STANDARD.decode(signature).map_err(|_| Refusal::WrongSignature)?;
    let is_genuine = secrets.iter().any(|secret| {
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
        mac.chain_update(delivery.body).verify_slice(&signature).is_ok()
    });
    if !is_genuine {
        return Err(Refusal::WrongSignature);
    }
    let names_another_shop = delivery.headers.iter().any(|(name, shop)| {
        matches!(name.as_str(), "shopify-shop-domain" | "x-shopify-shop-domain")
            && !shop.trim().eq_ignore_ascii_case(account.as_str())
    });
    if names_another_shop { Err(Refusal::OtherAccount) } else { Ok(Verified::new(delivery)) }
}
