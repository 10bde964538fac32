//! Names of tenants, vendors, accounts and connections: cheap to clone, checked
//! once where they enter.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name or account, in bytes.
const MAX_BYTES: usize = 190;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    pub kind: &'static str,
    pub text: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "accept {:?} as {}", self.text, self.kind)
    }
}

impl std::error::Error for NameError {}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_BYTES
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte))
}

fn is_printable(text: &str) -> bool {
    text.len() <= MAX_BYTES && text.chars().all(|character| !character.is_control())
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// # Errors
            ///
            /// The text is not what this name may look like.
            pub fn new(text: &str) -> Result<$name, NameError> {
                if $check(text) {
                    Ok($name(text.into()))
                } else {
                    Err(NameError { kind: $expected, text: text.into() })
                }
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A merchant; the unit of order. Empty for facts about the log itself. A
    /// dash alone stands for that in URIs, and is nobody's name.
    Tenant,
    "a tenant: at most 190 of a-z, 0-9, dash, underscore and dot, not a dash alone, or nothing for the system",
    |text: &str| text.is_empty() || (is_label(text) && text != "-")
);
name!(
    /// Who sent a fact or carries out a command, such as `shopify`.
    Vendor,
    "a vendor: at most 190 of a-z, 0-9, dash, underscore and dot, or nothing for none",
    |text: &str| text.is_empty() || is_label(text)
);
name!(
    /// The vendor's word for whose account it is, such as a shop's domain.
    Account,
    "an account: at most 190 bytes without control characters",
    is_printable
);
name!(
    /// One connection of a tenant to a vendor's account.
    ConnectionName,
    "a connection: 1 to 190 of a-z, 0-9, dash, underscore and dot",
    is_label
);
name!(
    /// A word of ours: workflow, step, rule, arm, cap, setting.
    Name,
    "a name: at most 190 bytes without control characters",
    is_printable
);

impl Tenant {
    /// Facts about the log itself belong to no merchant.
    #[must_use]
    pub fn system() -> Tenant {
        Tenant("".into())
    }

    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.is_empty()
    }
}

impl Vendor {
    /// Our own facts come from no vendor.
    #[must_use]
    pub fn ourselves() -> Vendor {
        Vendor("tradewind".into())
    }

    #[must_use]
    pub fn none() -> Vendor {
        Vendor("".into())
    }
}

impl Account {
    #[must_use]
    pub fn none() -> Account {
        Account("".into())
    }
}

impl Name {
    /// For words that stand in our own code.
    ///
    /// # Panics
    ///
    /// The word is not a name.
    #[must_use]
    pub fn fixed(text: &'static str) -> Name {
        Name::new(text).expect("a word of our own is a name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_refuses_what_would_break_a_key_or_a_header() {
        assert!(Vendor::new("Shopify").is_err());
        assert!(Tenant::new("shop\0one").is_err());
        assert!(Tenant::new("-").is_err());
        assert!(Tenant::new("a-b").is_ok());
        assert!(Account::new("a\nb").is_err());
        assert!(ConnectionName::new("").is_err());
        assert!(Account::new("demo.myshopify.com").is_ok());
        assert!(Tenant::system().is_system());
    }
}
