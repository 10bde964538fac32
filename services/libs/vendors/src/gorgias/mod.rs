//! Gorgias: tickets and their messages from HTTP integrations. See `docs/vendors/gorgias.md`.

mod translate;
mod verify;

pub use translate::{translate, translate_fetched};
pub use verify::verify;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tradewind_domain::Account;

use crate::roster::{Access, Inbound, Integration};

/// What the integration names its trigger in: Gorgias itself names it nowhere.
pub const TRIGGER_HEADER: &str = "x-tradewind-trigger";

/// What the integration carries its token in, unless it is `authorization: Bearer …`.
pub const TOKEN_HEADER: &str = "x-tradewind-token";

pub const INTEGRATION: Integration = Integration {
    vendor: "gorgias",
    inbound: Some(Inbound {
        translation: 1,
        kept_headers: &[TRIGGER_HEADER, "content-type"],
        verify,
        translate,
        translate_fetched: Some(translate_fetched),
    }),
    outbound: None,
    access: Some(Access { origin, authorization }),
};

/// The account is the helpdesk's domain, such as `demo` or `demo.gorgias.com`.
fn origin(account: &Account) -> Option<String> {
    let domain = domain(account.as_str());
    let is_label = !domain.is_empty()
        && domain.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_label.then(|| format!("https://{domain}.gorgias.com"))
}

/// The secret is `e-mail:key`, for HTTP Basic.
fn authorization(secret: &[u8]) -> Option<String> {
    secret.contains(&b':').then(|| format!("Basic {}", STANDARD.encode(secret)))
}

fn domain(account: &str) -> &str {
    account.strip_suffix(".gorgias.com").unwrap_or(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_can_only_name_a_helpdesk() {
        let origin = |account| origin(&Account::new(account).unwrap());
        assert_eq!(origin("demo").as_deref(), Some("https://demo.gorgias.com"));
        assert_eq!(origin("demo.gorgias.com").as_deref(), Some("https://demo.gorgias.com"));
        for account in ["", "demo/../x", "demo.example.com", "demo@example", "demo:80"] {
            assert_eq!(origin(account), None, "{account}");
        }
    }
}
