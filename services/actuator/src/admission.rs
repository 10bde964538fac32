//! Whether a command may be carried out now, and what that takes: its connection
//! on and ours, no switch against it, its sealed fields open, a secret at hand.

use tradewind_domain::{Command, CommandBody, OutcomeState};
use tradewind_ports::{KeyVault, VaultError};
use tradewind_vendors::OpenCommand;
use tradewind_wire::seal;

use crate::calls::Secrets;
use crate::directory::Directory;
use crate::settings::Settings;

/// The personal fields of a command, in clear.
#[derive(Default)]
pub(crate) struct Opened {
    contact: Option<String>,
    first_name: Option<String>,
    recovery_url: Option<String>,
}

impl Opened {
    pub(crate) fn of<'a>(&'a self, command: &'a Command) -> OpenCommand<'a> {
        OpenCommand {
            command,
            contact: self.contact.as_deref(),
            first_name: self.first_name.as_deref(),
            recovery_url: self.recovery_url.as_deref(),
        }
    }
}

/// A command that may be carried out, with what that takes.
pub(crate) struct Opening {
    pub(crate) opened: Opened,
    pub(crate) origin: String,
    pub(crate) authorization: String,
}

pub(crate) enum Admission {
    Open(Opening),
    Shut,
    Barred(OutcomeState, &'static str),
}

/// Whether a command may be carried out, and what that takes.
pub(crate) fn admit(
    settings: &Settings,
    directory: &Directory,
    vault: &dyn KeyVault,
    secrets: &dyn Secrets,
    command: &Command,
) -> Result<Admission, VaultError> {
    let rejected = |code| Ok(Admission::Barred(OutcomeState::Rejected, code));
    if settings.operation(command).is_none() {
        return rejected("capability_not_served");
    }
    let Some(connection) = directory.connection(command) else { return Ok(Admission::Shut) };
    let is_match = command.vendor == settings.vendor
        && connection.vendor == command.vendor
        && connection.account == command.account;
    if !is_match {
        return rejected("mismatch");
    }
    let Some(origin) = (settings.access.origin)(&command.account) else { return rejected("account") };
    let CommandBody::MessageSend(message) = &command.body;
    let mut opened = Opened::default();
    for (sealed, slot) in [
        (&command.contact, &mut opened.contact),
        (&message.first_name, &mut opened.first_name),
        (&message.recovery_url, &mut opened.recovery_url),
    ] {
        let Some(sealed) = sealed else { continue };
        let Some(key) = vault.key(sealed.key_id)? else {
            return Ok(Admission::Barred(OutcomeState::Cancelled, "erased"));
        };
        match seal::open(&key, sealed).ok().and_then(|clear| String::from_utf8(clear).ok()) {
            Some(clear) => *slot = Some(clear),
            None => return rejected("unopenable"),
        }
    }
    if !connection.active || directory.is_stopped(command) {
        return Ok(Admission::Shut);
    }
    let known = connection.secrets.iter().filter_map(|name| secrets.secret(name));
    let Some(authorization) = known.filter_map(|secret| (settings.access.authorization)(&secret)).next() else {
        return Ok(Admission::Shut);
    };
    let origin = settings.origin.clone().unwrap_or(origin);
    Ok(Admission::Open(Opening { opened, origin, authorization }))
}
