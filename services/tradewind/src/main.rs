//! Tradewind: one binary, a command for each thing it does.

#![forbid(unsafe_code)]

mod clock;
mod configuration;
mod demo;
mod dev;
mod failure;
mod ground;
mod import;
mod installation;
mod kafka;
mod lineage;
mod moving;
mod parts;
mod roles;
mod secrets;
mod stores;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use tradewind_telemetry::logs;

use crate::configuration::{Configuration, LogFormat, Partitions, Speed};
use crate::failure::{Exit, Failure};
use crate::import::Asked;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Names this build where it decides: it stands in every decision.
pub(crate) const BUILD: &str = concat!("tradewind ", env!("CARGO_PKG_VERSION"));

/// Beside live facts; the help of `import` names it.
const IMPORT_PER_SECOND: u32 = 5_000;

const IMPORT_TENANT: &str = "demo";
const IMPORT_ACCOUNT: &str = "cdnow.example.com";

/// An event-sourced orchestrator for commerce.
#[derive(Debug, Parser)]
#[command(name = "tradewind", version)]
struct Cli {
    /// A configuration file in TOML; without it, everything but Kafka has its default.
    #[arg(long, global = true)]
    config: Option<PathBuf>,

    /// Where the installation keeps its log, vault, stores and secrets.
    #[arg(long, global = true)]
    directory: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the whole product with sandbox vendors, in one process and one directory.
    Dev {
        /// Seconds of the log in one of the world, from 1 to 3600.
        #[arg(long)]
        speed: Option<Speed>,

        /// Partitions of a new log.
        #[arg(long)]
        partitions: Option<Partitions>,

        /// Meanwhile imports this file of past orders, as `import` does.
        #[arg(long)]
        import: Option<PathBuf>,
    },

    /// Imports past orders in the format of the CDNOW data set: lines of customer, day, pieces and dollars.
    ///
    /// They are facts of the vendor `cdnow`, and link to customers of no other shop.
    Import {
        file: PathBuf,

        /// Whose orders they are; one that is not there yet is made.
        #[arg(long, default_value = IMPORT_TENANT)]
        tenant: String,

        /// The shop's name at its vendor.
        #[arg(long, default_value = IMPORT_ACCOUNT)]
        account: String,

        /// At most so many orders a second; on Kafka, where live facts wait behind them, 5,000 unless told otherwise.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        per_second: Option<u32>,

        /// As fast as the log takes them.
        #[arg(long, conflicts_with = "per_second")]
        unpaced: bool,
    },

    /// Moves the whole log into that of another configuration, which is empty.
    Move {
        /// The other configuration: another directory, or Kafka.
        to: PathBuf,

        /// Goes on although commands have no outcome yet: they are never sent then.
        #[arg(long)]
        leave_unsettled: bool,
    },

    /// Says why: the facts, the decision and what became of it, by the id of a command or a decision.
    Why {
        id: String,

        /// Shows names and addresses, with the installation's own key.
        #[arg(long)]
        personal: bool,
    },

    /// Takes vendors' deliveries in, on Kafka.
    Connector,

    /// Owns partitions, on Kafka: folds, decides, issues commands.
    Orchestrator,

    /// Carries commands out, on Kafka.
    Actuator,

    /// Shows operators what happens, on Kafka.
    Console,

    /// Plays a merchant's vendors to an installation for development, on Kafka.
    Sandbox,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage as u8 } else { 0 };
            // Where nobody reads there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(exit);
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, reason }) => {
            eprintln!("failed to {reason}");
            ExitCode::from(exit as u8)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { config, directory, command } = cli;
    let mut configuration = Configuration::load(config.as_deref())?;
    if let Some(directory) = directory {
        configuration.directory = directory;
    }
    let format = match configuration.logs.format {
        LogFormat::Text => logs::Format::Text,
        LogFormat::Json => logs::Format::Json,
    };
    logs::set_up(format, &configuration.logs.levels).map_err(Failure::usage)?;
    match command {
        Command::Dev { speed, partitions, import } => {
            if configuration.kafka.is_some() {
                let reason = "start dev: it keeps its log in a directory; expected a configuration without [kafka]";
                return Err(Failure::usage(reason));
            }
            configuration.sandbox.speed = speed.unwrap_or(configuration.sandbox.speed);
            configuration.partitions = partitions.unwrap_or(configuration.partitions);
            let import = import.map(|file| Asked::of(&file, IMPORT_TENANT, IMPORT_ACCOUNT, Some(IMPORT_PER_SECOND)));
            dev::run(&configuration, import.transpose()?)
        }
        Command::Import { file, tenant, account, per_second, unpaced } => {
            let is_shared = configuration.kafka.is_some() && !unpaced;
            let per_second = per_second.or(is_shared.then_some(IMPORT_PER_SECOND));
            import::import(&configuration, &Asked::of(&file, &tenant, &account, per_second)?)
        }
        Command::Move { to, leave_unsettled } => {
            moving::relocate(&configuration, &Configuration::load(Some(&to))?, leave_unsettled)
        }
        Command::Why { id, personal } => why::why(&configuration, &id, personal),
        Command::Connector => roles::connector(&configuration),
        Command::Orchestrator => roles::orchestrator(&configuration),
        Command::Actuator => roles::actuator(&configuration),
        Command::Console => roles::console(&configuration),
        Command::Sandbox => roles::sandbox(&configuration),
    }
}
