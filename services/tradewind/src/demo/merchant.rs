//! The merchant that is played: a tenant, its three connections, and cart
//! recovery switched on.

use sha2::{Digest as _, Sha256};
use tradewind_domain::{
    Account, BindingSet, Body, ConnectionEntry, ConnectionName, DefinitionActivated, DirectoryEntry, DirectoryValue,
    FactId, Intake, Lifecycle, Name, SettingSet, Tenant, TenantEntry, Timestamp, Vendor, partition_of,
};
use tradewind_engine::{Workflow, cart_recovery};
use tradewind_ports::{EventLog, Topic};
use tradewind_wire::directory;
use tradewind_wire::record::{self, NewFact};

use crate::configuration;
use crate::failure::Failure;
use crate::secrets::SecretFiles;

pub(crate) const TENANT: &str = "demo";
pub(crate) const SHOP_DOMAIN: &str = "demo.myshopify.com";
pub(crate) const DESK_DOMAIN: &str = "demo";

const PEPPER: &str = "demo.pepper";
const SHOP_SECRET: &str = "demo.shopify";
const SHOP_TOKEN: &str = "demo.shopify.address";
const DESK_SECRET: &str = "demo.gorgias";
const DESK_LOGIN: &str = "demo.gorgias.login";
const DESK_TOKEN: &str = "demo.gorgias.address";
const MAIL_KEY: &str = "demo.klaviyo";

/// Deliveries of the sandbox are retried for so long.
const RETRY_HORIZON_MS: i64 = 60_000;

const PLACEMENT: u32 = 1;

/// What the sandbox and we have to agree on.
#[derive(Clone)]
pub(crate) struct Agreed {
    pub(crate) shop_secret: String,
    pub(crate) shop_token: String,
    pub(crate) desk_secret: String,
    pub(crate) desk_login: String,
    pub(crate) desk_token: String,
    pub(crate) mail_key: String,
}

impl Agreed {
    /// Drawn at the first start.
    pub(crate) fn with(secrets: &SecretFiles) -> Result<Agreed, Failure> {
        let draw = |name, prefix: &str, suffix: &str| {
            secrets
                .drawn(name, |text| format!("{prefix}{text}{suffix}"))
                .map_err(|error| Failure::usage(format!("keep the secret {name}: {error}")))
        };
        draw(PEPPER, "", "")?;
        Ok(Agreed {
            shop_secret: draw(SHOP_SECRET, "", "")?,
            shop_token: draw(SHOP_TOKEN, "", "")?,
            desk_secret: draw(DESK_SECRET, "", "")?,
            desk_login: draw(DESK_LOGIN, "owner@example.com:", "")?,
            desk_token: draw(DESK_TOKEN, "", "")?,
            mail_key: draw(MAIL_KEY, "pk_", "")?,
        })
    }
}

/// Sets the merchant up on a log that has none. Its facts come first and the
/// directory last: what a crash left half done is done again, and says the same.
pub(crate) fn set_up(
    log: &dyn EventLog,
    partitions: u32,
    agreed: &Agreed,
    played: &configuration::Sandbox,
    now: Timestamp,
) -> Result<(), Failure> {
    let directory_at = Topic::Directory.partition(0);
    if log.bounds(&directory_at).map_err(Failure::unavailable)?.end > 0 {
        return Ok(());
    }
    let tenant = name(Tenant::new, TENANT);
    let partition = partition_of(TENANT, partitions);
    let facts = facts(&tenant, played, now).iter().map(record::event).collect();
    log.append(&Topic::Events.partition(partition), facts).map_err(Failure::unavailable)?;
    let entries = entries(&tenant, partition, agreed);
    let entries = entries.into_iter().map(|value| directory::record(&DirectoryEntry { version: 1, value })).collect();
    log.append(&directory_at, entries).map_err(Failure::unavailable)?;
    Ok(())
}

fn facts(tenant: &Tenant, played: &configuration::Sandbox, now: Timestamp) -> Vec<NewFact> {
    let workflow = cart_recovery::CartRecovery;
    let settings = [
        // So that a cap is seen at work soon.
        (cart_recovery::CAP_PER_WEEK.0, Some(2)),
        (cart_recovery::QUIET_MINUTES.0, played.quiet_minutes),
        (cart_recovery::LATENESS_MINUTES.0, played.lateness_minutes),
    ];
    let set = |(name, value): (&'static str, Option<i64>)| {
        value.map(|value| Body::SettingSet(SettingSet { name: Name::fixed(name), value, version: 1 }))
    };
    let bodies = [
        Body::BindingSet(BindingSet {
            capability: Name::fixed("message.send"),
            channel: Name::fixed("email"),
            connection: Some(name(ConnectionName::new, "mail")),
            version: 1,
        }),
        Body::DefinitionActivated(DefinitionActivated {
            workflow: workflow.name(),
            definition: workflow.definition(),
            lifecycle: Lifecycle::On,
            canary_percent: 0,
            version: 1,
        }),
    ];
    let bodies = bodies.into_iter().chain(settings.into_iter().filter_map(set));
    bodies.map(|body| set_up_fact(tenant, now, body)).collect()
}

fn set_up_fact(tenant: &Tenant, now: Timestamp, body: Body) -> NewFact {
    let (object, version) = if let Body::SettingSet(set) = &body {
        (set.name.to_string(), set.version)
    } else if let Body::BindingSet(set) = &body {
        (format!("{}/{}", set.capability, set.channel), set.version)
    } else if let Body::DefinitionActivated(activated) = &body {
        (activated.workflow.to_string(), activated.version)
    } else {
        unreachable!("expected what a merchant is set up with, got {}", body.kind())
    };
    let id = FactId::of_set_up(tenant, body.kind(), &object, version);
    NewFact::ours(tenant.clone(), PLACEMENT, id, now, body)
}

fn entries(tenant: &Tenant, partition: u32, agreed: &Agreed) -> Vec<DirectoryValue> {
    let connection = |connection, vendor, account, intake, token: &str, secrets: &[&'static str]| {
        DirectoryValue::Connection(ConnectionEntry {
            tenant: tenant.clone(),
            connection: name(ConnectionName::new, connection),
            vendor: name(Vendor::new, vendor),
            account: name(Account::new, account),
            intake,
            active: true,
            token_hash: if token.is_empty() { [0; 32] } else { Sha256::digest(token).into() },
            secrets: secrets.iter().map(|secret| Name::fixed(secret)).collect(),
            retry_horizon_ms: RETRY_HORIZON_MS,
            requests_per_second: 0,
            max_body_bytes: 0,
        })
    };
    vec![
        DirectoryValue::Tenant(TenantEntry {
            tenant: tenant.clone(),
            partition,
            placement: PLACEMENT,
            pepper: Name::fixed(PEPPER),
        }),
        connection("shop", "shopify", SHOP_DOMAIN, Intake::Webhook, &agreed.shop_token, &[SHOP_SECRET]),
        connection("desk", "gorgias", DESK_DOMAIN, Intake::Webhook, &agreed.desk_token, &[DESK_SECRET, DESK_LOGIN]),
        connection("mail", "klaviyo", "demo", Intake::None, "", &[MAIL_KEY]),
    ]
}

fn name<T, E: std::fmt::Debug>(new: impl Fn(&str) -> Result<T, E>, text: &str) -> T {
    new(text).expect("a name of ours is one")
}
