//! Processes of the product, each with a configuration of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::http;

/// A process that is not ready by then never will be.
const PATIENCE: Duration = Duration::from_secs(90);

/// What all processes of an installation have in common.
#[derive(Clone, Debug)]
pub struct Installation {
    pub binary: PathBuf,
    /// Holds configurations, logs, and a directory for each that keeps something.
    pub directory: PathBuf,
    pub bootstrap: String,
    pub partitions: u32,
    pub ingress: SocketAddr,
    /// In TOML, below `[sandbox]`.
    pub sandbox: String,
}

/// A port nobody uses now.
///
/// # Panics
///
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a port that is listened on").port()
}

/// One process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    command: Command,
    child: Child,
    pub operations: SocketAddr,
}

impl Installation {
    /// Starts `tradewind <role>` as this member. It keeps its own state and shares
    /// vault and secrets.
    ///
    /// # Panics
    ///
    /// It can't be started.
    #[must_use]
    pub fn start(&self, role: &str, member: u32) -> Process {
        let name = format!("{role}-{member}");
        let operations = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let home = self.directory.join("home").join(&name);
        fs::create_dir_all(&home).expect("a directory to write to");
        for shared in ["secrets", "installation.key"] {
            // A link that is there already leads to the same place.
            let _ = std::os::unix::fs::symlink(self.directory.join(shared), home.join(shared));
        }
        let Installation { bootstrap, partitions, ingress, sandbox, .. } = self;
        let text = format!(
            "installation = \"endurance\"\npartitions = {partitions}\nmemory_mib = 512\ndirectory = \"{}\"\n\
             [kafka]\nbootstrap = \"{bootstrap}\"\ndev = true\nmember = \"{member}\"\n[ingress]\naddress = \"{ingress}\"\n\
             [operations]\naddress = \"{operations}\"\n[logs]\nlevels = \"info\"\n[sandbox]\n{sandbox}\n",
            home.display()
        );
        let config = self.directory.join(format!("{name}.toml"));
        fs::write(&config, text).expect("a directory to write to");
        let log = self.directory.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log).expect("a log to write to");
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(config).arg(role);
        command.stdout(log.try_clone().expect("a log to write to")).stderr(log);
        let child = command.spawn().expect("the product's binary");
        Process { name, command, child, operations }
    }
}

impl Process {
    /// Waits until it says that it is ready.
    ///
    /// # Panics
    ///
    /// It does not become ready, or ends.
    pub fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        while !http::get(self.operations, "/readyz").is_ok_and(|(status, _)| status == 200) {
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "{} ended with {ended:?}; see its log", self.name);
            assert!(begun.elapsed() < PATIENCE, "{} is not ready; see its log", self.name);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// SIGKILL, and the same again.
    ///
    /// # Panics
    ///
    /// It can't be started again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.child = self.command.spawn().expect("the product's binary");
    }

    /// Starts it again if it has ended; its exit code if it has.
    ///
    /// # Panics
    ///
    /// It can't be started again.
    pub fn restart_if_ended(&mut self) -> Option<i32> {
        let ended = self.child.try_wait().expect("a child of ours")?;
        self.child = self.command.spawn().expect("the product's binary");
        Some(ended.code().unwrap_or(-1))
    }

    /// SIGKILL.
    ///
    /// # Panics
    ///
    /// It is no child of ours.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        self.child.wait().expect("a child of ours");
    }

    /// Sends a signal by its name, such as STOP.
    ///
    /// # Panics
    ///
    /// There is no `kill` to run.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("the command kill");
    }

    /// SIGTERM; its exit code, and how long it took to end.
    ///
    /// # Panics
    ///
    /// It is no child of ours.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        self.signal("TERM");
        (self.child.wait().expect("a child of ours").code(), begun.elapsed())
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The repository's top.
///
/// # Panics
///
/// This crate was moved.
#[must_use]
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches is below the top").into()
}

/// The product's binary, built now as this program was.
///
/// # Panics
///
/// It does not build.
#[must_use]
pub fn build() -> PathBuf {
    let release = !cfg!(debug_assertions);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(top()).args(["build", "--quiet", "-p", "tradewind"]);
    if release {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo").success(), "expected the product to build");
    std::env::current_exe().expect("a path of our own").with_file_name("tradewind")
}
