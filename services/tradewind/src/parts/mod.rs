//! The services of an installation, each started from its own crate with what
//! this process has.

pub(crate) mod actuators;
mod alive;
pub(crate) mod console;
pub(crate) mod directory;
mod fetching;
pub(crate) mod ingress;
pub(crate) mod owners;
pub(crate) mod owning;
pub(crate) mod worker;

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tradewind_domain::LineageKind;
use tradewind_egress::{Client, Reach, Settings};

use crate::failure::Failure;
use crate::ground::Ground;

const USER_AGENT: &str = concat!("Tradewind/", env!("CARGO_PKG_VERSION"), " (+https://example.com)");

/// Bytes of a vendor's answer that are read at most.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Calls the sandbox only where time may be stretched, too: never in production.
pub(crate) fn client(ground: &Ground) -> Result<Client, Failure> {
    let reach = match ground.opened.kind {
        LineageKind::Dev => Reach::PublicAndSandbox,
        LineageKind::Production => Reach::Public,
    };
    let settings = Settings { reach, user_agent: USER_AGENT.into(), answer_bytes_max: ANSWER_BYTES_MAX };
    Client::new(settings).map_err(Failure::unavailable)
}

/// `section` is where the configuration has the address.
pub(crate) async fn listen(section: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let refused = |error| {
        let elsewhere = format!("another address can be set in the configuration: address, in [{section}]");
        Failure::unavailable(format!("listen on {address}: {error}; {elsewhere}"))
    };
    TcpListener::bind(address).await.map_err(refused)
}

pub(crate) fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(Failure::unavailable)
}
