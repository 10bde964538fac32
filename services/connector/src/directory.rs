//! Whose token it is: the connections of the directory, read whole at start and
//! followed from there (D17).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;
use tradewind_domain::{
    Account, ConnectionEntry, ConnectionName, DirectoryEntry, DirectoryValue, Intake, Name, Pepper, Tenant,
    TenantEntry, Vendor,
};
use tradewind_ports::{EventLog, LogError, Topic};
use tradewind_vendors::{Connection, Inbound, Secrets, find};
use tradewind_wire::reading::{DirectoryReader, ReadError};

use crate::turned_away::Owed;
use crate::world::SecretSource;

/// A record of the log has a million bytes at most; this leaves room for the delivery's headers and seal. A larger body is
/// refused before it is read, whatever the connection sets.
const MAX_BODY_BYTES: u32 = 900_000;

/// How often the thread that waits looks whether it is still needed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Secrets are mounted files: a new one is taken up without a restart.
const SECRETS_EVERY: Duration = Duration::from_secs(30);

const RETRY_EVERY: Duration = Duration::from_secs(1);

/// A connection with all that a delivery to it needs.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) tenant: Tenant,
    pub(crate) vendor: Vendor,
    pub(crate) account: Account,
    pub(crate) connection: ConnectionName,
    pub(crate) pepper: Pepper,
    pub(crate) secrets: Secrets,
    pub(crate) partition: u32,
    pub(crate) placement: u32,
    pub(crate) max_body_bytes: usize,
    pub(crate) inbound: Inbound,
    /// The roster's word of the vendor, for metrics.
    pub(crate) vendor_word: &'static str,
}

impl Door {
    pub(crate) fn connection(&self) -> Connection<'_> {
        Connection {
            tenant: &self.tenant,
            vendor: &self.vendor,
            account: &self.account,
            connection: &self.connection,
            pepper: &self.pepper,
        }
    }
}

/// Why a connection can't be served. It is our trouble, never the vendor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    NoTenant,
    NoSuchPartition { partition: u32, partitions: u32 },
    NoPepper,
    NoSecret,
    NothingComesIn,
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::NoTenant => formatter.write_str("expected the tenant's own entry in the directory, got none"),
            Unusable::NoSuchPartition { partition, partitions } => {
                write!(formatter, "expected a partition below {partitions}, got {partition}")
            }
            Unusable::NoPepper => {
                write!(formatter, "expected the tenant's pepper, of at least {} bytes", Pepper::MIN_BYTES)
            }
            Unusable::NoSecret => formatter.write_str("expected a secret, and none of them empty"),
            Unusable::NothingComesIn => formatter.write_str("expected a vendor of the roster that sends webhooks"),
        }
    }
}

/// The connections by their tokens.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// By the first bytes of the token's hash. How long finding them takes tells
    /// something about those eight bytes at most; the rest is compared in constant time.
    by_token: HashMap<[u8; 8], Vec<Listed>>,
    /// The vendors that send to a partition.
    vendors: BTreeMap<u32, BTreeSet<Vendor>>,
    unusable: BTreeMap<String, Unusable>,
}

#[derive(Debug)]
struct Listed {
    token_hash: [u8; 32],
    door: Result<Arc<Door>, Closed>,
}

/// A connection that is known and can't be served.
pub(crate) type Closed = Option<Owed>;

impl Directory {
    fn of(entries: &Entries, secrets: &SecretSource, partitions: u32) -> Directory {
        let mut directory = Directory::default();
        let webhooks = entries.connections.values().filter(|entry| entry.active && entry.intake == Intake::Webhook);
        for entry in webhooks {
            let door = door(entry, entries.tenants.get(&entry.tenant), secrets, partitions);
            let door = match door {
                Ok(door) => {
                    directory.vendors.entry(door.partition).or_default().insert(door.vendor.clone());
                    Ok(Arc::new(door))
                }
                Err(unusable) => {
                    directory.unusable.insert(format!("{}/{}", entry.tenant, entry.connection), unusable);
                    Err(owed(entry, entries.tenants.get(&entry.tenant), partitions))
                }
            };
            let listed = Listed { token_hash: entry.token_hash, door };
            directory.by_token.entry(prefix(&entry.token_hash)).or_default().push(listed);
        }
        directory
    }

    /// The connection of a token; `None` if it is nobody's.
    pub(crate) fn find(&self, token: &str) -> Option<Result<&Arc<Door>, &Closed>> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let listed = self.by_token.get(&prefix(&hash))?;
        let found = listed.iter().find(|listed| listed.token_hash.ct_eq(&hash).into())?;
        Some(found.door.as_ref())
    }

    pub(crate) fn vendors(&self, partition: u32) -> impl Iterator<Item = &Vendor> {
        self.vendors.get(&partition).into_iter().flatten()
    }
}

fn prefix(hash: &[u8; 32]) -> [u8; 8] {
    hash[..8].try_into().expect("eight of 32 bytes")
}

/// Who brings again what is turned away, if it is known in whose order that belongs.
fn owed(entry: &ConnectionEntry, tenant: Option<&TenantEntry>, partitions: u32) -> Option<Owed> {
    let tenant = tenant.filter(|tenant| tenant.partition < partitions)?;
    Some(Owed {
        tenant: entry.tenant.clone(),
        connection: entry.connection.clone(),
        vendor: entry.vendor.clone(),
        partition: tenant.partition,
        placement: tenant.placement,
    })
}

fn door(
    entry: &ConnectionEntry,
    tenant: Option<&TenantEntry>,
    secrets: &SecretSource,
    partitions: u32,
) -> Result<Door, Unusable> {
    let tenant = tenant.ok_or(Unusable::NoTenant)?;
    if tenant.partition >= partitions {
        return Err(Unusable::NoSuchPartition { partition: tenant.partition, partitions });
    }
    let integration = find(&entry.vendor).ok_or(Unusable::NothingComesIn)?;
    let pepper = secrets(&tenant.pepper).and_then(Pepper::new).ok_or(Unusable::NoPepper)?;
    // One that is not there yet, or not any more, does not stop the others.
    let known: Vec<Vec<u8>> = entry.secrets.iter().filter_map(|reference: &Name| secrets(reference)).collect();
    let max_body_bytes =
        if entry.max_body_bytes == 0 { MAX_BODY_BYTES } else { entry.max_body_bytes.min(MAX_BODY_BYTES) };
    Ok(Door {
        tenant: entry.tenant.clone(),
        vendor: entry.vendor.clone(),
        account: entry.account.clone(),
        connection: entry.connection.clone(),
        pepper,
        secrets: Secrets::new(known).ok_or(Unusable::NoSecret)?,
        partition: tenant.partition,
        placement: tenant.placement,
        max_body_bytes: usize::try_from(max_body_bytes).expect("32 bits fit"),
        inbound: integration.inbound.ok_or(Unusable::NothingComesIn)?,
        vendor_word: integration.vendor,
    })
}

/// The entries the connector needs, by their record keys.
#[derive(Debug, Default)]
struct Entries {
    tenants: BTreeMap<Tenant, TenantEntry>,
    connections: BTreeMap<Vec<u8>, ConnectionEntry>,
}

impl Entries {
    fn set(&mut self, key: &[u8], entry: Option<DirectoryEntry>) {
        match entry.map(|entry| entry.value) {
            Some(DirectoryValue::Tenant(entry)) => {
                self.tenants.insert(entry.tenant.clone(), entry);
            }
            Some(DirectoryValue::Connection(entry)) => {
                self.connections.insert(key.to_vec(), entry);
            }
            Some(
                DirectoryValue::Definition(_)
                | DirectoryValue::Switch { .. }
                | DirectoryValue::Format(_)
                | DirectoryValue::Owner(_),
            ) => {}
            None => {
                self.connections.remove(key);
                self.tenants.retain(|_, entry| DirectoryValue::Tenant(entry.clone()).key().as_bytes() != key);
            }
        }
    }
}

/// What everybody sees of the directory; `None` until it was read whole.
pub(crate) type Current = watch::Receiver<Option<Arc<Directory>>>;

/// Follows the directory in a thread of its own as long as anybody looks at it. The
/// second receiver gets the reason if it can't go on.
pub(crate) fn follow(
    log: Arc<dyn EventLog>,
    secrets: SecretSource,
    partitions: u32,
) -> std::io::Result<(Current, tokio::sync::oneshot::Receiver<String>)> {
    let (current, receiver) = watch::channel(None);
    let (failed, failure) = tokio::sync::oneshot::channel();
    let mut follower = Follower { log, secrets, partitions, current };
    thread::Builder::new().name("directory".into()).spawn(move || {
        if let Err(reason) = follower.run() {
            // Nobody listens any more if the connector is gone.
            let _ = failed.send(reason);
        }
    })?;
    Ok((receiver, failure))
}

struct Follower {
    log: Arc<dyn EventLog>,
    secrets: SecretSource,
    partitions: u32,
    current: watch::Sender<Option<Arc<Directory>>>,
}

impl Follower {
    fn run(&mut self) -> Result<(), String> {
        let mut was_read = true;
        while !self.current.is_closed() {
            match self.follow(&mut was_read) {
                Ok(()) => {}
                Err(ReadError::Log(
                    error @ (LogError::Unavailable { .. } | LogError::Indefinite { .. } | LogError::Fenced),
                )) => {
                    if std::mem::take(&mut was_read) {
                        tracing::warn!(%error, "the directory can't be read now");
                    } else {
                        tracing::debug!(%error, "the directory can't be read yet");
                    }
                    thread::sleep(RETRY_EVERY);
                }
                // It was compacted under us: what it holds now is read anew.
                Err(ReadError::Log(LogError::Lost { .. })) => {}
                Err(ReadError::Log(error @ (LogError::Damaged { .. } | LogError::Refused { .. }))) => {
                    return Err(error.to_string());
                }
                Err(error @ ReadError::Unreadable { .. }) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Reads the directory from its start and follows it; says so where it could not before.
    fn follow(&self, was_read: &mut bool) -> Result<(), ReadError> {
        let mut entries = Entries::default();
        let at = Topic::Directory.partition(0);
        let mut reader = DirectoryReader::default();
        let mut built_at: Option<Instant> = None;
        while !self.current.is_closed() {
            let has_changed = reader.follow(self.log.as_ref(), |key, entry| entries.set(key, entry))?;
            if !std::mem::replace(was_read, true) {
                tracing::info!("the directory is read again");
            }
            if has_changed || built_at.is_none_or(|built_at| built_at.elapsed() >= SECRETS_EVERY) {
                self.publish(Directory::of(&entries, &self.secrets, self.partitions));
                built_at = Some(Instant::now());
            }
            self.log.wait(&at, reader.next(), LOOK_EVERY)?;
        }
        Ok(())
    }

    fn publish(&self, directory: Directory) {
        let before = self.current.borrow().clone();
        for (connection, unusable) in &directory.unusable {
            if before.as_ref().is_none_or(|before| before.unusable.get(connection) != Some(unusable)) {
                tracing::error!(%connection, reason = %unusable, "a connection can't be served");
            }
        }
        self.current.send_replace(Some(Arc::new(directory)));
    }
}
