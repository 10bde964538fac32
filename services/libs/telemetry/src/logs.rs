//! Logs, to standard error: standard output belongs to what a command prints.

use std::fmt;
use std::io;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

#[derive(Debug)]
pub enum LogsError {
    /// Not a list such as `info,tradewind_connector=debug`.
    Levels { given: String },
    /// Logs were set up before.
    Twice,
}

impl fmt::Display for LogsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogsError::Levels { given } => {
                write!(formatter, "set up logs: expected levels such as info,tradewind_connector=debug, got {given:?}")
            }
            LogsError::Twice => formatter.write_str("set up logs: they were set up before"),
        }
    }
}

impl std::error::Error for LogsError {}

/// For the whole process, once.
///
/// # Errors
///
/// See [`LogsError`].
pub fn set_up(format: Format, levels: &str) -> Result<(), LogsError> {
    subscriber(format, levels, io::stderr)?.try_init().map_err(|_| LogsError::Twice)
}

fn subscriber<W>(format: Format, levels: &str, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, LogsError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let refused = || LogsError::Levels { given: levels.into() };
    // By itself a word would be a target with everything on, and a mistyped level silence the rest.
    let is_level_or_pair = |part: &str| part.contains('=') || !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let targets: Targets = levels.parse().map_err(|_| refused())?;
    if !levels.split(',').all(is_level_or_pair) {
        return Err(refused());
    }
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let registry = tracing_subscriber::registry().with(targets);
    Ok(match format {
        Format::Text => Box::new(registry.with(lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())))),
        Format::Json => Box::new(registry.with(lines.json().flatten_event(true).with_current_span(false))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, levels: &str) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(format, levels, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "tradewind_connector", partition = 3, "caught up");
            tracing::debug!(target: "tradewind_connector", "one delivery");
            tracing::info!(target: "elsewhere", "chatter");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn levels_are_by_target() {
        let text = written(Format::Text, "warn,tradewind_connector=info");
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("caught up") && text.contains("partition=3"), "{text}");
        assert_eq!(written(Format::Text, "trace").lines().count(), 3);
        for refused in ["loud", "inof", "info,tradewind_connector=loud", "info,", ""] {
            assert!(matches!(set_up(Format::Text, refused), Err(LogsError::Levels { .. })), "{refused}");
        }
    }

    #[test]
    fn a_line_of_json_has_its_fields_at_the_top() {
        let text = written(Format::Json, "info");
        let first = text.lines().next().unwrap();
        assert!(first.starts_with('{') && first.contains("\"partition\":3"), "{first}");
        assert!(first.contains("\"level\":\"INFO\"") && first.contains("\"message\":\"caught up\""), "{first}");
    }
}
