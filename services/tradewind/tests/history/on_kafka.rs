//! An installation on a broker, with topics of its own.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tradewind_log_kafka::{KafkaLog, KafkaSettings};

use crate::local::Broker;

pub(crate) struct OnKafka {
    pub(crate) config: PathBuf,
    pub(crate) home: PathBuf,
    settings: KafkaSettings,
}

impl OnKafka {
    pub(crate) fn new(broker: &Broker, directory: &Path, partitions: u32) -> OnKafka {
        let home = directory.join("on-kafka");
        std::fs::create_dir_all(&home).unwrap();
        let text = format!(
            "installation = \"history\"\npartitions = {partitions}\ndirectory = \"{}\"\n\
             [kafka]\nbootstrap = \"{}\"\ndev = true\n[operations]\naddress = \"127.0.0.1:0\"\n",
            home.display(),
            broker.address
        );
        let config = directory.join("on-kafka.toml");
        std::fs::write(&config, text).unwrap();
        let settings = KafkaSettings { partitions, is_dev: true, ..KafkaSettings::new(&broker.address, "history") };
        OnKafka { config, home, settings }
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
        command.arg("--config").arg(&self.config).arg(name);
        command
    }

    pub(crate) fn log(&self) -> KafkaLog {
        KafkaLog::connect(self.settings.clone()).unwrap()
    }

    /// What its processes can't do without.
    pub(crate) fn make_key(&self) {
        let mut options = std::fs::File::options();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(self.home.join("installation.key")).unwrap();
        std::io::Write::write_all(&mut file, &[7; 32]).unwrap();
    }
}
