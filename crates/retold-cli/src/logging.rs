//! Logs of the program: text for people, JSON for collectors, always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::output::colour_is_wanted;

/// What is logged unless `RUST_LOG` says otherwise.
const FILTER: &str = "info";

/// The form of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// Begins to log. What was logged before is lost.
pub(crate) fn begin(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call finds logs that began already, which is as well.
    let _ = match format {
        LogFormat::Text => logs
            .with_target(false)
            .with_ansi(colour_is_wanted(std::io::stderr().is_terminal()))
            .try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}
