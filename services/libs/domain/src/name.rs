//! Names of tenants, vendors, accounts and connections: cheap to clone, checked
//! once where they enter.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// Text that is shared, or stands in the program.
#[derive(Clone)]
enum Text {
    Fixed(&'static str),
    Shared(Arc<str>),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Text::Fixed(text) => text,
            Text::Shared(text) => text,
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Text) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

// As `str` hashes, so that names are found by `&str`.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        Arc::deserialize(deserializer).map(Text::Shared)
    }
}

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
        pub struct $name(Text);

        impl $name {
            /// # Errors
            ///
            /// The text is not what this name may look like.
            pub fn new(text: &str) -> Result<$name, NameError> {
                if $check(text) {
                    Ok($name(Text::Shared(text.into())))
                } else {
                    Err(NameError { kind: $expected, text: text.into() })
                }
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.as_str().as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
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
        Tenant(Text::Fixed(""))
    }

    #[must_use]
    pub fn is_system(&self) -> bool {
        self.as_str().is_empty()
    }
}

impl Vendor {
    /// Our own facts come from no vendor.
    #[must_use]
    pub fn ourselves() -> Vendor {
        Vendor(Text::Fixed("tradewind"))
    }

    #[must_use]
    pub fn none() -> Vendor {
        Vendor(Text::Fixed(""))
    }
}

impl Account {
    #[must_use]
    pub fn none() -> Account {
        Account(Text::Fixed(""))
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
        assert!(is_printable(text), "expected {text:?}, a word of our own, to be a name");
        Name(Text::Fixed(text))
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
