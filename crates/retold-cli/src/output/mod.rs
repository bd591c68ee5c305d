//! What a person or a program sees: tables, JSON lines, failures. Colour only where a terminal
//! shows it, and never as the only sign of anything.

mod progress;
mod table;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::client::{Failure, Kind};

pub(crate) use self::progress::Progress;
pub(crate) use self::table::{Table, clean, counted, fields, shown};

const RED: &str = "\x1b[1;31m";
const PLAIN: &str = "\x1b[0m";

/// Whether to write colours to a place, by <https://no-color.org>.
pub(crate) fn colour_is_wanted(is_terminal: bool) -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal && !is_refused
}

/// Where a command writes.
pub(crate) struct Output {
    /// JSON for programs.
    pub(crate) json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json }
    }

    /// Writes a line.
    pub(crate) fn line(&self, text: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_ref())?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(())
    }

    /// Writes a table.
    pub(crate) fn table(&self, table: &Table) -> anyhow::Result<()> {
        self.line(table.render(colour_is_wanted(io::stdout().is_terminal())))
    }

    /// Tells a person something beside the answer; a program is not disturbed.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// Tells what went wrong, and the exit code that says so.
    pub(crate) fn fail(&self, error: &anyhow::Error) -> ExitCode {
        // Whoever reads us has seen enough, as `head` does.
        if is_broken_pipe(error) {
            return ExitCode::SUCCESS;
        }
        let failure = error.downcast_ref::<Failure>();
        let kind = failure.map_or(Kind::Failed, |failure| failure.kind);
        if self.json {
            let problem = match failure {
                Some(failure) => failure.to_json(),
                None => Failure::new(kind, format!("{error:#}")).to_json(),
            };
            eprintln!("{problem}");
            return ExitCode::from(kind.exit_code());
        }
        let (red, plain) = match colour_is_wanted(io::stderr().is_terminal()) {
            true => (RED, PLAIN),
            false => ("", ""),
        };
        let mut message = format!("{error:#}");
        if let Some([id]) = failure.map(|failure| failure.event_ids.as_slice()) {
            // It stands on a line of its own below.
            message = message.replace(&format!(" (event id {id})"), "");
        }
        eprintln!("{red}error:{plain} failed to {}", clean(&message));
        if let Some(failure) = failure {
            if let Some(hint) = &failure.hint {
                eprintln!("hint: {}", clean(hint));
            }
            let ids = &failure.event_ids;
            match ids.len() {
                0 => {}
                1 => eprintln!("event id: {}", clean(&ids[0])),
                _ => eprintln!("event ids: {}", clean(&ids.join(" "))),
            }
        }
        ExitCode::from(kind.exit_code())
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
