//! Whether the process can do its work. Being alive is another matter: a process
//! that answers at all is, whatever it waits for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

/// The parts of a process and what each waits for. Ready is when there are some,
/// and none waits: whoever starts several adds them all before the first is ready.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a part waits for; `None` once it is ready.
    parts: BTreeMap<Cow<'static, str>, Option<String>>,
    has_started: bool,
    is_stopping: bool,
}

/// One part, in the hands of whoever knows of it.
#[derive(Clone, Debug)]
pub struct Part {
    name: Cow<'static, str>,
    health: Health,
}

/// What a probe is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) is_well: bool,
    /// A line a part.
    pub(crate) text: String,
}

impl Health {
    #[must_use]
    pub fn new() -> Health {
        Health::default()
    }

    /// Adds a part, which is not ready yet; the same part if it was there.
    #[must_use]
    pub fn part(&self, name: impl Into<Cow<'static, str>>) -> Part {
        let name = name.into();
        self.state().parts.entry(name.clone()).or_insert_with(|| Some("starting".into()));
        Part { name, health: self.clone() }
    }

    /// From here on the process is not ready, whatever its parts say.
    pub fn stop(&self) {
        self.state().is_stopping = true;
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state().is_ready()
    }

    pub(crate) fn readiness(&self) -> Answer {
        let state = self.state();
        Answer { is_well: state.is_ready(), text: state.text() }
    }

    /// Well from the first time that everything was ready.
    pub(crate) fn startup(&self) -> Answer {
        let state = self.state();
        Answer { is_well: state.has_started, text: state.text() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds the health")
    }
}

impl State {
    fn is_ready(&self) -> bool {
        !self.is_stopping && !self.parts.is_empty() && self.parts.values().all(Option::is_none)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if self.is_stopping {
            text.push_str("stopping\n");
        }
        for (name, waits_for) in &self.parts {
            let _ = writeln!(text, "{name}: {}", waits_for.as_deref().unwrap_or("ready"));
        }
        text
    }
}

impl Part {
    /// The process has nothing to do with it any more.
    pub fn leave(&self) {
        self.health.state().parts.remove(&self.name);
    }

    pub fn ready(&self) {
        let mut state = self.health.state();
        state.parts.insert(self.name.clone(), None);
        state.has_started |= state.is_ready();
    }

    /// `reason` is shown to whoever may ask: no names of people, no secrets.
    pub fn waits_for(&self, reason: impl Into<String>) {
        self.health.state().parts.insert(self.name.clone(), Some(reason.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_all_its_parts_are_and_none_once_it_stops() {
        let health = Health::new();
        assert!(!health.is_ready());
        let (log, store) = (health.part("log"), health.part("store"));
        log.ready();
        assert!(!health.is_ready());
        store.waits_for("rebuilding: 40 %");
        assert_eq!(health.startup(), Answer { is_well: false, text: "log: ready\nstore: rebuilding: 40 %\n".into() });
        store.ready();
        assert!(health.readiness().is_well && health.startup().is_well);
        log.waits_for("the broker");
        assert!(!health.readiness().is_well && health.startup().is_well);
        log.ready();
        health.stop();
        assert_eq!(health.readiness(), Answer { is_well: false, text: "stopping\nlog: ready\nstore: ready\n".into() });
    }
}
