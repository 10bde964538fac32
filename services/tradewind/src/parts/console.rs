//! The console, asking the owners of this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tradewind_console::{
    AccessKey, Owners, OwnersError, Place, Reference, ReferenceKind, ServeError, Settings, Telemetry, Timeline, World,
};
use tradewind_domain::{EntityKey, Tenant};
use tradewind_engine::leaf;
use tradewind_orchestrator::Desk;
use tradewind_ports::Clock;

use crate::failure::Failure;
use crate::ground::Ground;
use crate::parts::directory::{Directory, Placed};

/// The secret that opens what is personal.
pub(crate) const ACCESS_KEY: &str = "console";

pub(crate) struct Console<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) listener: TcpListener,
    /// Names by which it is reached, beside its address.
    pub(crate) hosts: Vec<String>,
    /// By partition.
    pub(crate) desks: Vec<Desk>,
    pub(crate) speed: u32,
    pub(crate) access_key: AccessKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) telemetry: Telemetry,
}

impl Console<'_> {
    pub(crate) fn start(self) -> JoinHandle<Result<(), ServeError>> {
        let Console { ground, listener, hosts, desks, speed, access_key, clock, telemetry } = self;
        let owners = OwnersHere {
            directory: Directory::new(ground.log.clone()),
            desks: (0..).zip(desks).collect(),
            speed_permille: speed * 1_000,
        };
        let world =
            World { log: ground.log.clone(), owners: Arc::new(owners), vault: Some(ground.vault.clone()), clock };
        let settings =
            Settings { partitions: ground.partitions, access_key: Some(access_key), hosts, ..Settings::default() };
        tokio::spawn(tradewind_console::serve(listener, world, settings, telemetry))
    }
}

/// The key that opens the page: long enough to be one.
pub(crate) fn access_key(secret: &str) -> Result<AccessKey, Failure> {
    AccessKey::new(secret).ok_or_else(|| Failure::usage("use the console's access key: it is too short"))
}

struct OwnersHere {
    directory: Directory,
    desks: BTreeMap<u32, Desk>,
    speed_permille: u32,
}

impl Owners for OwnersHere {
    fn timeline(&self, tenant: &Tenant, entity: &EntityKey) -> Result<Timeline, OwnersError> {
        let unavailable = |reason: String| OwnersError::Unavailable { reason };
        let Placed { partition, .. } =
            self.directory.placed(tenant).map_err(unavailable)?.ok_or(OwnersError::UnknownTenant)?;
        let desk = self.desks.get(&partition).ok_or_else(|| unavailable("nobody owns it here".into()))?;
        let timeline = desk.timeline(tenant, entity).map_err(|error| unavailable(error.to_string()))?;
        let reference = |(position, kind, entity)| Reference { position, kind: kind_of(kind), entity };
        Ok(Timeline {
            partition,
            lineage: timeline.lineage,
            as_of: timeline.as_of,
            log_time: timeline.log_time,
            entities: timeline.entities,
            references: timeline.references.into_iter().map(reference).collect(),
        })
    }

    fn places(&self) -> Vec<Place> {
        let place = |(partition, desk): (&u32, &Desk)| {
            let standing = desk.standing().ok()?;
            Some(Place {
                partition: *partition,
                position: standing.as_of,
                log_time: standing.log_time,
                speed_permille: self.speed_permille,
            })
        };
        self.desks.iter().filter_map(place).collect()
    }
}

fn kind_of(kind: leaf::ReferenceKind) -> ReferenceKind {
    match kind {
        leaf::ReferenceKind::About => ReferenceKind::About,
        leaf::ReferenceKind::Named => ReferenceKind::Named,
        leaf::ReferenceKind::Decision => ReferenceKind::Decision,
    }
}
