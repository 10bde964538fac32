//! Every vendor there is.

use tradewind_domain::{Account, Vendor};

use crate::draft::Connection;
use crate::inbound::{Delivery, Fetched, Misunderstood, Refusal, Secrets, Translation, Verified};
use crate::outbound::{Answered, Next, OpenCommand, Operation};
use crate::{gorgias, klaviyo, shopify};

/// One line a vendor.
pub static ROSTER: &[Integration] = &[shopify::INTEGRATION, gorgias::INTEGRATION, klaviyo::INTEGRATION];

/// What we can do with a vendor.
#[derive(Clone, Copy, Debug)]
pub struct Integration {
    pub vendor: &'static str,
    pub inbound: Option<Inbound>,
    pub outbound: Option<Outbound>,
    /// How it is called, for commands and fetches.
    pub access: Option<Access>,
}

pub type Verify = for<'a> fn(Delivery<'a>, &Account, &Secrets) -> Result<Verified<'a>, Refusal>;

pub type Translate = fn(&Verified<'_>, &Connection<'_>) -> Result<Translation, Misunderstood>;

pub type TranslateFetched = fn(&Verified<'_>, Fetched<'_>, &Connection<'_>) -> Result<Translation, Misunderstood>;

#[derive(Clone, Copy, Debug)]
pub struct Inbound {
    /// The version of the translator; facts carry it.
    pub translation: u32,
    /// Headers that may be kept beside a raw delivery: none of them is personal or secret.
    pub kept_headers: &'static [&'static str],
    pub verify: Verify,
    pub translate: Translate,
    /// Where `translate` may ask for a fetch.
    pub translate_fetched: Option<TranslateFetched>,
}

#[derive(Clone, Copy, Debug)]
pub struct Outbound {
    pub operations: &'static [Operation],
    pub next: fn(&OpenCommand<'_>, &[Answered]) -> Next,
}

#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Scheme and host; `None` if the account can't be one of this vendor's.
    pub origin: fn(&Account) -> Option<String>,
    /// The value of the `authorization` header, from the connection's secret;
    /// `None` if the secret can't be one.
    pub authorization: fn(&[u8]) -> Option<String>,
}

#[must_use]
pub fn find(vendor: &Vendor) -> Option<&'static Integration> {
    ROSTER.iter().find(|integration| integration.vendor == vendor.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_found_by_its_name_and_listed_once() {
        for integration in ROSTER {
            let vendor = Vendor::new(integration.vendor).unwrap();
            assert_eq!(find(&vendor).unwrap().vendor, integration.vendor);
            assert_eq!(ROSTER.iter().filter(|other| other.vendor == integration.vendor).count(), 1);
        }
        assert!(find(&Vendor::new("nobody").unwrap()).is_none());
    }
}
