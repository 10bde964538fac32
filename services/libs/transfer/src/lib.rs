//! History that comes from elsewhere, as facts that start nothing.
//!
//! `orders` reads a shop's past orders from a file and `import` appends them to
//! the tenant's partition as backfill: paced, and safe to run again.
//!
//! ```no_run
//! # use std::{fs::File, io::BufReader, ops::ControlFlow};
//! # use tradewind_domain::{Account, Tenant, Timestamp};
//! # use tradewind_transfer::{import::{Import, Pace}, orders};
//! # fn run(log: &dyn tradewind_ports::EventLog) -> Result<(), Box<dyn std::error::Error>> {
//! let file = BufReader::new(File::open("CDNOW_master.txt")?);
//! // The file is read whole first: a mistake in its last line appends nothing.
//! let orders = orders::read(file).collect::<Result<Vec<_>, _>>()?;
//! let import = Import {
//!     tenant: Tenant::new("demo")?,
//!     account: Account::new("cdnow.example.com")?,
//!     partition: 3,
//!     placement: 1,
//!     pace: Pace { batch: 500, per_second: Some(20_000) },
//! };
//! let imported = import.run(log, &orders, Timestamp::from_millis(1_780_000_000_000), &mut |progress| {
//!     eprintln!("{} of {} orders, {:.0}/s", progress.done(), progress.total, progress.per_second());
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(imported.done(), imported.total);
//! # Ok(())
//! # }
//! ```
//!
//! `moved` moves a whole log into another one with its own lineage and number of
//! partitions: embedded to Kafka, or 3 partitions to 5.
//!
//! ```no_run
//! # use tradewind_domain::{Lineage, LineageKind, LineageOpened, Name, Timestamp};
//! # use tradewind_transfer::moved::{self, Move, Unsettled};
//! # fn run(source: &dyn tradewind_ports::EventLog, target: &dyn tradewind_ports::EventLog)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let moving = Move {
//!     source_partitions: 3,
//!     target_partitions: 5,
//!     // Drawn by the caller; a move that is taken up again keeps the first one.
//!     lineage: LineageOpened { lineage: Lineage::from_bytes([7; 16]), kind: LineageKind::Production },
//!     opened_at: Timestamp::from_millis(1_780_000_000_000),
//!     installation: "shop".into(),
//!     build: Name::new("1.4.0")?,
//!     unsettled: Unsettled::Refused,
//!     keys: Vec::new(),
//!     batch: 1_000,
//! };
//! let moved = moved::run(source, target, &moving, &mut |moved| eprintln!("{} facts", moved.facts))?;
//! eprintln!("{} decisions, {} facts of the source's own left behind", moved.decisions, moved.dropped);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod cursor;
pub mod import;
pub mod moved;
pub mod orders;
