//! Vendors that behave like the real ones: a shop that sends signed webhooks
//! (Shopify), a helpdesk with tickets (Gorgias) and a mailing service that takes
//! events (Klaviyo). For `dev`, for tests and for load.
//!
//! They verify, limit, deduplicate, retry, give up and fail, and keep ledgers: of
//! every delivery and what was answered, and of every effect. Whether something
//! was done exactly once is counted in the effects.
//!
//! - What people do follows from the seed and the start, whatever is answered.
//!   A delivery's bytes, ids and the time it is due first follow from them too.
//! - A sandbox's clock runs `speed` times as fast as the world's. Retries, limits
//!   and `Retry-After` are in its time, time-outs of requests in the world's.
//! - It serves on 127.0.0.1 alone. It knows nothing of the product it is used
//!   with, and nobody who shops here exists.

#![forbid(unsafe_code)]

mod chance;
mod client;
mod clock;
mod courier;
mod desk;
mod life;
mod mail;
mod people;
mod postman;
mod server;
mod settings;
mod shop;
mod status;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::http::HeaderValue;
use hyper::Uri;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use crate::courier::{Answer, Attempt, Delivery, DeliveryCounts, DeliveryState, Sender};
pub use crate::mail::{Effect, MailCounts};
pub use crate::settings::{
    DeskFaults, DeskSettings, MailFaults, MailSettings, SandboxSettings, Secret, ShopFaults, ShopSettings,
    Subscriptions,
};
pub use crate::status::{Line, Status};

use crate::client::Http;
use crate::clock::Clock;
use crate::courier::Courier;
use crate::desk::Desk;
use crate::life::{Life, Plan};
use crate::mail::Mail;
use crate::postman::{Postman, Shop};
use crate::shop::Signer;
use crate::status::Ledgers;

#[derive(Debug)]
pub enum SandboxError {
    /// What is wrong with the settings, to be mended by whoever wrote them.
    Settings(String),
    Listen {
        port: u16,
        source: io::Error,
    },
}

impl fmt::Display for SandboxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxError::Settings(what) => write!(formatter, "start the sandbox: {what}"),
            SandboxError::Listen { port, .. } => write!(formatter, "listen on 127.0.0.1:{port}"),
        }
    }
}

impl std::error::Error for SandboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SandboxError::Settings(_) => None,
            SandboxError::Listen { source, .. } => Some(source),
        }
    }
}

/// Where it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `POST` and `GET /api/events`, and `/sandbox/*`.
    pub mail: SocketAddr,
    /// `GET /api/tickets/{id}`, if there is a helpdesk.
    pub desk: Option<SocketAddr>,
    /// `/sandbox/*`.
    pub status: SocketAddr,
}

/// A running sandbox. Dropping it ends it, without waiting for anything.
#[derive(Debug)]
pub struct Sandbox {
    addresses: Addresses,
    ledgers: Ledgers,
    finished: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts it on the current tokio runtime, whose timers and IO must be enabled.
    ///
    /// # Errors
    ///
    /// The settings are no good, or a port is taken.
    pub async fn start(settings: SandboxSettings) -> Result<Sandbox, SandboxError> {
        check(&settings)?;
        let (shop, desk) = (settings.shop.as_ref(), settings.desk.as_ref());
        let shop_address = shop.map(|shop| address(&shop.webhook_address)).transpose()?;
        let desk_address = desk.map(|desk| address(&desk.webhook_address)).transpose()?;
        let (mail_listener, mail_at) = listen(settings.mail.port).await?;
        let (status_listener, status_at) = listen(settings.status_port).await?;
        let desk_listener = match desk {
            Some(desk) => Some(listen(desk.port).await?),
            None => None,
        };

        let SandboxSettings { seed, started_at_ms, speed, .. } = settings;
        let clock = Clock::start(started_at_ms, speed);
        let shop_lines = shop.iter().flat_map(|_| shop::Topic::ALL).map(|topic| (Sender::Shop, topic.as_str()));
        let desk_lines = desk.iter().flat_map(|_| desk::Trigger::ALL).map(|trigger| (Sender::Desk, trigger.as_str()));
        let subscriptions = shop.map_or(Subscriptions::OfTheShop, |shop| shop.subscriptions);
        let courier = Courier::new(subscriptions, settings.deliveries_kept, shop_lines.chain(desk_lines));
        let life = Life::new(Plan {
            seed,
            started_at_ms,
            customers: settings.customers,
            visits_per_hour: settings.visits_per_hour,
            visits_max: settings.visits_max,
            tickets: desk.map_or(0, |desk| desk.tickets),
        });
        let shop = settings.shop.map(|settings| Shop {
            signer: Signer::new(seed, settings.secret.clone(), settings.old_secret.clone(), started_at_ms),
            settings,
        });
        let desk = settings.desk.map(|settings| Arc::new(Mutex::new(Desk::new(settings, seed, started_at_ms))));
        let ledgers = Ledgers {
            seed,
            speed,
            clock: clock.clone(),
            courier: Arc::new(Mutex::new(courier)),
            desk: desk.clone(),
            mail: Arc::new(Mutex::new(Mail::new(settings.mail, seed))),
        };

        let (stop, stopped) = watch::channel(false);
        let (finish, finished) = watch::channel(false);
        let status = status::router(ledgers.clone());
        let mail = mail::router(Arc::clone(&ledgers.mail), clock.clone()).merge(status.clone());
        let mut tasks = vec![
            tokio::spawn(server::serve(mail_listener, mail, stopped.clone())),
            tokio::spawn(server::serve(status_listener, status, stopped.clone())),
        ];
        let mut desk_at = None;
        if let (Some((listener, at)), Some(desk)) = (desk_listener, &desk) {
            let router = desk::router(Arc::clone(desk), clock.clone());
            tasks.push(tokio::spawn(server::serve(listener, router, stopped.clone())));
            desk_at = Some(at);
        }
        let postman = Postman { seed, life, clock, courier: Arc::clone(&ledgers.courier), shop, desk };
        tasks.push(tokio::spawn(postman.run(Http::new(shop_address, desk_address), finish, stopped)));
        let addresses = Addresses { mail: mail_at, desk: desk_at, status: status_at };
        Ok(Sandbox { addresses, ledgers, finished, stop, tasks })
    }

    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The same as `/sandbox/status`.
    #[must_use]
    pub fn status(&self) -> Status {
        self.ledgers.status()
    }

    /// The sandbox's time.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.ledgers.clock.now_ms()
    }

    /// Every delivery that isn't forgotten, in the order they were made.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        locked(&self.ledgers.courier).ledger().cloned().collect()
    }

    /// Every effect, in the order they occurred.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        locked(&self.ledgers.mail).effects().to_vec()
    }

    /// How many effects that `unique_id` had, over all profiles and metrics.
    #[must_use]
    pub fn effects_of(&self, unique_id: &str) -> u64 {
        self.ledgers.effects_of(unique_id).iter().map(|effect| effect.count).sum()
    }

    /// Subscribes again to what the vendors closed, as a merchant would.
    pub fn reopen_lines(&self) {
        locked(&self.ledgers.courier).reopen_lines();
    }

    /// Waits until `visits_max` visits are over and every delivery is settled. Without
    /// such an end it waits for ever.
    pub async fn finished(&self) {
        // The postman ends only with the sandbox itself.
        let _ = self.finished.clone().wait_for(|is_finished| *is_finished).await;
    }

    /// Ends it: connections are cut, requests under way are waited for (up to five
    /// seconds each), nothing new is sent. The ledgers stay readable.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn check(settings: &SandboxSettings) -> Result<(), SandboxError> {
    let ranges = [
        ("speed", u64::from(settings.speed), 1, 100_000),
        ("customers", u64::from(settings.customers), 1, u64::from(u32::MAX)),
        ("visits_per_hour", u64::from(settings.visits_per_hour), 1, 3_600_000),
        ("mail.faults", u64::from(mail::faults_total(settings.mail.faults)), 0, 1_000),
    ];
    for (name, given, low, high) in ranges {
        if !(low..=high).contains(&given) {
            return Err(SandboxError::Settings(format!("expected {name} from {low} to {high}, got {given}")));
        }
    }
    // Far enough from both ends of what can be written as a date.
    if !(0..=32_503_680_000_000).contains(&settings.started_at_ms) {
        return Err(SandboxError::Settings("expected started_at_ms between 1970 and 3000".to_owned()));
    }
    let shop = settings.shop.iter().map(|shop| ("shop.domain", shop.domain.as_str()));
    let desk = settings.desk.iter().map(|desk| ("desk.token", desk.token.as_str()));
    for (name, value) in shop.chain(desk) {
        if value.is_empty() || HeaderValue::from_str(value).is_err() {
            return Err(SandboxError::Settings(format!("expected {name} to fit into a header")));
        }
    }
    Ok(())
}

fn address(text: &str) -> Result<Uri, SandboxError> {
    let address: Option<Uri> = text.parse().ok();
    address
        .filter(|address| address.scheme_str() == Some("http") && address.host().is_some())
        .ok_or_else(|| SandboxError::Settings(format!("expected an address beginning with http://, got {text}")))
}

async fn listen(port: u16) -> Result<(tokio::net::TcpListener, SocketAddr), SandboxError> {
    server::listen(port).await.map_err(|source| SandboxError::Listen { port, source })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}
