//! `tradewind why <id>`: from a command or a decision back to its facts, also
//! while the log is being written.

use std::sync::Arc;

use tradewind_domain::{CommandId, DecisionId};
use tradewind_explain::{Chain, Explainer, Personal, Shown};
use tradewind_log_kafka::KafkaLog;
use tradewind_ports::EventLog;
use tradewind_vault::VaultReader;
use tradewind_wire::seal;

use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::installation::Installation;
use crate::kafka;

/// Prints the chain. Personal fields stay sealed unless `is_personal_shown`, which
/// takes the installation's own key.
pub(crate) fn why(configuration: &Configuration, id: &str, is_personal_shown: bool) -> Result<(), Failure> {
    let command: CommandId = id
        .parse()
        .map_err(|expected| Failure::usage(format!("look for {id:?}: {expected}, of a command or a decision")))?;
    if is_personal_shown && configuration.kafka.is_some() {
        return Err(Failure::usage("show what is personal: on Kafka, open it in the console, with its key"));
    }
    let (log, partitions) = log(configuration)?;
    let explainer = Explainer::new(log, partitions);
    let decision = DecisionId::from_bytes(*command.as_bytes());
    let chain = match explainer.explain(command).map_err(Failure::stopped)? {
        Some(chain) => Some(chain),
        None => explainer.explain_decision(decision).map_err(Failure::stopped)?,
    };
    let Some(mut chain) = chain else {
        return Err(Failure::usage(format!("find {id}: no decision on this log has that id, and none issued it")));
    };
    if is_personal_shown {
        let vault = Installation::find(&configuration.directory)?.vault_reader()?;
        open(&mut chain, &vault)?;
    }
    print(&chain);
    Ok(())
}

fn log(configuration: &Configuration) -> Result<(Arc<dyn EventLog>, u32), Failure> {
    if configuration.kafka.is_some() {
        let settings = kafka::settings(configuration)?;
        let log = KafkaLog::connect(settings).map_err(kafka::of_setup)?;
        return Ok((Arc::new(log), configuration.partitions.0));
    }
    let log = Installation::find(&configuration.directory)?.log_reader()?;
    let partitions = log.partitions();
    Ok((log, partitions))
}

fn open(chain: &mut Chain, vault: &VaultReader) -> Result<(), Failure> {
    let mut failure = None;
    chain.for_each_personal(|personal: &mut Personal| match vault.key(personal.sealed.key_id) {
        Ok(None) => personal.shown = Shown::Erased,
        Ok(Some(key)) => {
            // What this key does not open stays as it is.
            if let Some(clear) = seal::open(&key, &personal.sealed).ok().and_then(|clear| String::from_utf8(clear).ok())
            {
                personal.shown = Shown::Opened(clear);
            }
        }
        Err(error) => failure = Some(error),
    });
    failure.map_or(Ok(()), |error| Err(Failure::unavailable(error)))
}

#[expect(clippy::print_stdout, reason = "it is what the command prints")]
fn print(chain: &Chain) {
    println!("{chain}");
}
