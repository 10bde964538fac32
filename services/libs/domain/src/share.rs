//! Which share of a workflow's subjects one falls into. The recipe never changes,
//! since a subject must stay on the side it was drawn to.

use crate::entity::EntityKey;
use crate::hash::derive;
use crate::name::{Name, Tenant};

/// What subjects are divided for; each divides them anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Left alone, to compare with.
    Holdout,
    /// Those a workflow in canary is on for.
    Canary,
}

impl Share {
    /// Whether `subject` is among the first `percent` of a hundred. Places are a hundred times as fine, so that a
    /// share may come to have a fraction.
    #[must_use]
    pub fn holds(self, percent: i64, tenant: &Tenant, workflow: &Name, subject: &EntityKey) -> bool {
        i64::from(self.place(tenant, workflow, subject)) < percent.saturating_mul(100)
    }

    /// From 0 to 9,999, evenly over the subjects.
    fn place(self, tenant: &Tenant, workflow: &Name, subject: &EntityKey) -> u32 {
        let label = match self {
            Share::Holdout => "holdout",
            Share::Canary => "canary",
        };
        let digest = derive(label, &[tenant.as_bytes(), workflow.as_bytes(), subject.as_bytes()]);
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 10_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::EntityKind;
    use crate::name::{Account, Vendor};

    /// From docs/contract_vectors.py: this cart's places are 7,032 and 9,453.
    #[test]
    fn a_subjects_places_never_change() {
        let (vendor, account) = (Vendor::new("shopify").unwrap(), Account::new("demo.myshopify.com").unwrap());
        let cart = EntityKey::at_vendor(EntityKind::Cart, &vendor, &account, "eeafa272cebfd4b22385bc4b645e762c");
        let (tenant, workflow) = (Tenant::new("demo").unwrap(), Name::fixed("cart-recovery"));
        for (share, percents) in [(Share::Holdout, [-1, 0, 70, 71, 100]), (Share::Canary, [-1, 0, 94, 95, 100])] {
            let holds = percents.map(|percent| share.holds(percent, &tenant, &workflow, &cart));
            assert_eq!(holds, [false, false, false, true, true], "{share:?}");
        }
    }
}
