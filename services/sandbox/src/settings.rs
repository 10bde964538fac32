//! What a sandbox is started with. Shares are per mille, times are the sandbox's
//! own unless a name says otherwise.

use std::fmt;

/// A secret that prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// With `started_at_ms` it decides everything that people and faults do. The
    /// people are the seed's alone, so they come back in the next run; what they
    /// buy has other ids as soon as the run begins at another time.
    pub seed: u64,
    /// The sandbox's time at its start, in milliseconds of UTC.
    pub started_at_ms: i64,
    /// Seconds of the sandbox in a second of the world, from 1 to 100,000.
    pub speed: u32,
    /// How many people there are.
    pub customers: u32,
    /// How many visits to the shop begin in an hour.
    pub visits_per_hour: u32,
    /// After so many visits nobody comes any more; what was begun is ended.
    pub visits_max: Option<u64>,
    /// Settled deliveries beyond this many are forgotten, the oldest first. Counts
    /// stay exact, and effects are never forgotten.
    pub deliveries_kept: usize,
    /// Where `/sandbox/*` is served, on 127.0.0.1; 0 is any free port.
    pub status_port: u16,
    /// Without it the shop sends nothing.
    pub shop: Option<ShopSettings>,
    /// Without it the helpdesk sends and serves nothing.
    pub desk: Option<DeskSettings>,
    pub mail: MailSettings,
}

impl SandboxSettings {
    /// A well-behaved sandbox: no faults, nobody to send to yet.
    #[must_use]
    pub fn new(seed: u64, started_at_ms: i64, mail_key: Secret) -> SandboxSettings {
        SandboxSettings {
            seed,
            started_at_ms,
            speed: 1,
            customers: 500,
            visits_per_hour: 240,
            visits_max: None,
            deliveries_kept: 5_000,
            status_port: 0,
            shop: None,
            desk: None,
            mail: MailSettings::new(mail_key),
        }
    }
}

#[derive(Clone, Debug)]
pub struct ShopSettings {
    /// `http://…`: where webhooks go.
    pub webhook_address: String,
    /// Such as `demo.myshopify.com`.
    pub domain: String,
    pub secret: Secret,
    /// The secret that is being replaced: for an hour from the start, a delivery is
    /// signed with either.
    pub old_secret: Option<Secret>,
    pub subscriptions: Subscriptions,
    pub faults: ShopFaults,
}

impl ShopSettings {
    #[must_use]
    pub fn new(webhook_address: &str, domain: &str, secret: Secret) -> ShopSettings {
        ShopSettings {
            webhook_address: webhook_address.to_owned(),
            domain: domain.to_owned(),
            secret,
            old_secret: None,
            subscriptions: Subscriptions::OfTheShop,
            faults: ShopFaults::default(),
        }
    }
}

/// Who made the webhook subscriptions, which is what decides how they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscriptions {
    /// Made for this shop: one whose deliveries keep failing is deleted.
    OfTheShop,
    /// Made for every shop of the app: never deleted.
    OfTheApp,
}

/// What goes wrong between the shop and the receiver, per mille of deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShopFaults {
    /// Sent once more: half of them again under the same webhook id, half under
    /// another one as a second subscription would.
    pub duplicated: u16,
    /// Held back for seconds, so that later ones overtake it.
    pub reordered: u16,
    /// Held back for minutes, up to four hours.
    pub delayed: u16,
    /// Written with `\/` and `\u0026`.
    pub escaped: u16,
    /// Sent with headers of the newer family, without `X-`.
    pub newer_headers: u16,
}

impl ShopFaults {
    /// Some of everything.
    #[must_use]
    pub fn some() -> ShopFaults {
        ShopFaults { duplicated: 30, reordered: 60, delayed: 10, escaped: 200, newer_headers: 100 }
    }
}

#[derive(Clone, Debug)]
pub struct DeskSettings {
    /// `http://…`: where every integration sends.
    pub webhook_address: String,
    /// Such as `demo`, of `demo.gorgias.com`.
    pub domain: String,
    /// What the integrations carry in `X-Tradewind-Token`.
    pub token: Secret,
    /// Who may fetch tickets: `e-mail:key`.
    pub login: Secret,
    pub port: u16,
    /// Of the visits, per mille, that end in a question to the shop.
    pub tickets: u16,
    pub faults: DeskFaults,
}

impl DeskSettings {
    #[must_use]
    pub fn new(webhook_address: &str, domain: &str, token: Secret, login: Secret) -> DeskSettings {
        DeskSettings {
            webhook_address: webhook_address.to_owned(),
            domain: domain.to_owned(),
            token,
            login,
            port: 0,
            tickets: 120,
            faults: DeskFaults::default(),
        }
    }
}

/// What goes wrong at the helpdesk, per mille of deliveries or of fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeskFaults {
    /// Deliveries sent twice.
    pub duplicated: u16,
    /// Deliveries held back for seconds.
    pub reordered: u16,
    /// Fetches answered 503.
    pub unavailable: u16,
}

impl DeskFaults {
    /// Some of everything.
    #[must_use]
    pub fn some() -> DeskFaults {
        DeskFaults { duplicated: 30, reordered: 60, unavailable: 50 }
    }
}

#[derive(Clone, Debug)]
pub struct MailSettings {
    pub port: u16,
    /// The private key that requests must carry.
    pub key: Secret,
    /// Requests in a second, and in a minute.
    pub burst: u32,
    pub steady: u32,
    /// How long an event that was accepted can't be read back yet.
    pub visible_after_ms: i64,
    /// How long a `unique_id` is recognised; `None` is for ever.
    pub unique_ids_kept_ms: Option<i64>,
    /// In the world's time: how long a slow answer takes.
    pub slow_ms: u64,
    /// In the world's time: how long a request that is never answered stays open.
    pub held_ms: u64,
    pub faults: MailFaults,
}

impl MailSettings {
    /// Klaviyo's limits, and no faults.
    #[must_use]
    pub fn new(key: Secret) -> MailSettings {
        MailSettings {
            port: 0,
            key,
            burst: 350,
            steady: 3_500,
            visible_after_ms: 2_000,
            unique_ids_kept_ms: None,
            slow_ms: 2_000,
            held_ms: 60_000,
            faults: MailFaults::default(),
        }
    }
}

/// What goes wrong at the mailing service, per mille of its requests: at most one
/// of them befalls a request, so together they are at most 1,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailFaults {
    /// 429 with `Retry-After`, whatever the limits say.
    pub throttled: u16,
    /// 500, and nothing applied.
    pub unavailable: u16,
    /// 500, and yet applied.
    pub unavailable_applied: u16,
    /// Never answered, and nothing applied.
    pub timed_out: u16,
    /// Never answered, and yet applied.
    pub timed_out_applied: u16,
    /// Answered, late.
    pub slow: u16,
    /// Read, then the connection is cut, and nothing applied.
    pub cut: u16,
    /// Read and applied, then the connection is cut.
    pub cut_applied: u16,
}

impl MailFaults {
    /// Some of everything.
    #[must_use]
    pub fn some() -> MailFaults {
        MailFaults {
            throttled: 30,
            unavailable: 20,
            unavailable_applied: 10,
            timed_out: 10,
            timed_out_applied: 20,
            slow: 30,
            cut: 10,
            cut_applied: 20,
        }
    }
}
