//! Starting the sandbox for the merchant that is played.

use std::net::SocketAddr;

use tradewind_ports::Clock as _;
use tradewind_sandbox::{DeskSettings, MailFaults, Sandbox, SandboxError, SandboxSettings, ShopFaults, ShopSettings};

use super::merchant::{self, Agreed};
use crate::clock::Stretched;
use crate::configuration;
use crate::failure::Failure;

/// How long a request that is never answered stays open.
const HELD_MS: u64 = 15_000;

/// What the sandbox has to know of an installation.
pub(crate) struct Played<'a> {
    pub(crate) settings: &'a configuration::Sandbox,
    pub(crate) agreed: &'a Agreed,
    pub(crate) ingress: SocketAddr,
    pub(crate) clock: Stretched,
}

pub(crate) async fn play(played: Played<'_>) -> Result<Sandbox, Failure> {
    let Played { settings, agreed, ingress, clock } = played;
    let door = |token: &str| format!("http://{ingress}/v1/in/{token}");
    let mut shop =
        ShopSettings::new(&door(&agreed.shop_token), merchant::SHOP_DOMAIN, agreed.shop_secret.as_str().into());
    shop.faults = ShopFaults { delayed: settings.delayed, ..ShopFaults::some() };
    let mut desk = DeskSettings::new(
        &door(&agreed.desk_token),
        merchant::DESK_DOMAIN,
        agreed.desk_secret.as_str().into(),
        agreed.desk_login.as_str().into(),
    );
    desk.port = settings.desk_port;
    let mut sandbox = SandboxSettings {
        speed: clock.speed,
        customers: settings.customers,
        visits_per_hour: settings.visits_per_hour,
        visits_max: settings.visits_max,
        deliveries_kept: settings.deliveries_kept,
        status_port: settings.status_port,
        shop: Some(shop),
        desk: Some(desk),
        ..SandboxSettings::new(settings.seed, clock.now().millis(), agreed.mail_key.as_str().into())
    };
    sandbox.mail.port = settings.mail_port;
    sandbox.mail.held_ms = HELD_MS;
    sandbox.mail.faults = if settings.is_mail_flaky {
        MailFaults::some()
    } else {
        MailFaults { throttled: 30, unavailable: 20, ..MailFaults::default() }
    };
    Sandbox::start(sandbox).await.map_err(|error| match &error {
        SandboxError::Settings(_) => Failure::usage(error),
        SandboxError::Listen { source, .. } => Failure::unavailable(format!("{error}: {source}")),
    })
}
