//! Who shops: made-up people with addresses at example.com, the same for one seed
//! however often the sandbox is started.

use crate::chance::Chance;

/// The largest number that a double holds exactly, 2^53; ids here lie beyond it.
pub(crate) const BEYOND_DOUBLES: u64 = (1 << 53) + 1;

const FIRST_NAMES: &[&str] = &[
    "Ada",
    "Zoë",
    "Björn",
    "Łucja",
    "José",
    "Mei",
    "Amara",
    "Noor",
    "Ivo",
    "Siobhán",
    "Tariq",
    "Yuki",
    "Linnéa",
    "Oluwaseun",
    "Grace",
    "Anaïs",
];
const LAST_NAMES: &[&str] = &[
    "Okafor",
    "Müller",
    "García",
    "Nowak",
    "O'Neil",
    "Sato",
    "Lindqvist",
    "Haddad",
    "Rossi",
    "Kowalczyk",
    "Dubois",
    "Fernández",
    "Nguyen",
    "van Dijk",
];
const STREETS: &[&str] = &["Harbour Street", "Mill Lane", "Rue du Port", "Hafenstraße", "Calle Mayor", "Quay 4 / B"];
const CITIES: &[(&str, &str, &str)] = &[
    ("Rotterdam", "3011 AA", "NL"),
    ("Bremen", "28195", "DE"),
    ("Bordeaux", "33000", "FR"),
    ("Cádiz", "11001", "ES"),
    ("Gdańsk", "80-001", "PL"),
];

#[derive(Clone, Debug)]
pub(crate) struct Customer {
    /// The shop's number for them.
    pub(crate) shop_id: u64,
    /// The helpdesk's number for them.
    pub(crate) desk_id: u64,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) email: String,
    /// No two people have the same one, since a shared number would make them one person.
    pub(crate) phone: Option<String>,
    pub(crate) street: String,
    pub(crate) city: &'static str,
    pub(crate) zip: &'static str,
    pub(crate) country: &'static str,
}

impl Customer {
    /// The customer of that number; nobody is kept.
    pub(crate) fn of(seed: u64, index: u32) -> Customer {
        let mut chance = Chance::of(seed, "customer", &[&index.to_be_bytes()]);
        let first_name = *chance.pick(FIRST_NAMES);
        let last_name = *chance.pick(LAST_NAMES);
        let letters = |name: &str| name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
        let (city, zip, country) = *chance.pick(CITIES);
        // 555-0100 to 555-0199 of each area are kept free for fiction.
        let (area, number) = (201 + index / 100, index % 100);
        let phone = (area <= 999 && chance.per_mille(600)).then(|| format!("+1{area}55501{number:02}"));
        Customer {
            shop_id: chance.between(BEYOND_DOUBLES, BEYOND_DOUBLES * 900),
            desk_id: chance.between(100_000_000, 999_999_999),
            first_name,
            last_name,
            email: format!("{}.{}.{index}@example.com", letters(first_name), letters(last_name)),
            phone,
            street: format!("{} {}", chance.pick(STREETS), chance.between(1, 240)),
            city,
            zip,
            country,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

/// Something the shop sells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Article {
    pub(crate) variant_id: u64,
    pub(crate) product_id: u64,
    pub(crate) sku: &'static str,
    pub(crate) title: &'static str,
    pub(crate) price_cents: u64,
    pub(crate) grams: u64,
}

/// Every variant's number is one that a double would round.
pub(crate) const ARTICLES: &[Article] = &[
    article(1, "MUG-BLUE", "Mug, blue", 1_250, 380),
    article(3, "MUG-RED", "Mug, red", 1_250, 380),
    article(5, "TEA-OOLONG-100", "Oolong tea, 100 g", 1_890, 100),
    article(7, "TEA-GENMAI-100", "Genmaicha \u{201c}spring\u{201d}, 100 g", 1_490, 100),
    article(9, "KETTLE-12", "Kettle, 1.2 l", 6_900, 1_900),
    article(11, "FILTER-2", "Paper filters, size 2", 395, 120),
    article(13, "CAFÉ-ESP-500", "Café espresso / 500 g", 1_675, 500),
    article(15, "GRINDER-S", "Hand grinder", 8_450, 700),
    article(17, "SCALE-01", "Scale, 0.1 g", 4_299, 450),
    article(19, "", "Gift wrapping \u{1f381}", 250, 0),
];

const fn article(odd: u64, sku: &'static str, title: &'static str, price_cents: u64, grams: u64) -> Article {
    let variant_id = 44_612_345_678_901_000 + odd;
    Article { variant_id, product_id: variant_id - 36_000_000_000_000_000, sku, title, price_cents, grams }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_people_share_an_address_or_a_number() {
        let people: Vec<Customer> = (0..2_000).map(|index| Customer::of(7, index)).collect();
        let emails: BTreeSet<&str> = people.iter().map(|customer| customer.email.as_str()).collect();
        assert_eq!(emails.len(), people.len());
        let phones: Vec<&str> = people.iter().filter_map(|customer| customer.phone.as_deref()).collect();
        assert_eq!(phones.iter().collect::<BTreeSet<_>>().len(), phones.len());
        assert!(people.iter().all(|customer| customer.email.ends_with("@example.com")));
    }

    #[test]
    fn a_double_would_round_the_ids() {
        let ids = ARTICLES.iter().map(|article| article.variant_id).chain([BEYOND_DOUBLES]);
        for id in ids {
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let through_a_double = id as f64 as u64;
            assert_ne!(through_a_double, id);
        }
    }
}
