//! Which stores are measured, and what is told of each.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use session::{Arguments, play};

use crate::targets::{evento, http, nats, null, retold, shared, umadb};

/// Names the program that plays the session of sqlite-es: it links another release of SQLite.
const SQLITE_ES: &str = "SQLITE_ES_PROGRAM";

/// A store that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contestant {
    Retold,
    Null,
    SqliteEs,
    Evento,
    RetoldHttp,
    RetoldShared,
    Umadb,
    Nats,
}

/// How a store is reached: only stores of one place are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    InProcess,
    Network,
}

impl Contestant {
    /// In the order of the tables.
    pub(crate) const ALL: [Contestant; 8] = [
        Contestant::Retold,
        Contestant::Null,
        Contestant::SqliteEs,
        Contestant::Evento,
        Contestant::RetoldHttp,
        Contestant::RetoldShared,
        Contestant::Umadb,
        Contestant::Nats,
    ];

    /// What it is called.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Contestant::Retold => "Retold",
            Contestant::Null => "null engine",
            Contestant::SqliteEs => "sqlite-es",
            Contestant::Evento => "evento on fjall",
            Contestant::RetoldHttp => "Retold over HTTP",
            Contestant::RetoldShared => "Retold, 16 connections",
            Contestant::Umadb => "UmaDB",
            Contestant::Nats => "NATS JetStream",
        }
    }

    /// What `--only` calls it.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How it was set up, and what of the workload it does not do.
    pub(crate) fn notes(self) -> &'static str {
        match self {
            Contestant::Retold => "`EngineStore` with its defaults",
            Contestant::Null => {
                "writes what it is handed, 300 bytes an event, over a file that was written before, and \
                 syncs; checks nothing, keeps no index"
            }
            Contestant::SqliteEs => {
                "cqrs-es; `journal_mode=WAL`, `synchronous=FULL`; the sequence is checked; event \
                 ids are kept with the metadata and not checked"
            }
            Contestant::Evento => {
                "a sync of everything at each write, as by default; the version is checked; a \
                 repeated event id is not refused"
            }
            Contestant::RetoldHttp => {
                "`retold serve --no-projections`, as no other one derives state; a connection of \
                 HTTP/1.1 for each appender, kept alive, which asks for answers without the events \
                 (`Prefer: return=minimal`); many batches as the lines of one body, with a summary at \
                 the end; readers parse each line"
            }
            Contestant::RetoldShared => {
                "the same program; appenders share 16 connections of HTTP/1.1, as those of UmaDB and \
                 NATS do: each append is a line of a bulk append that goes on, and is answered by a \
                 line of its own once it is durable; where both ways are measured, the faster one is \
                 compared with the others"
            }
            Contestant::Umadb => {
                "gRPC; an aggregate is a tag, and the append is refused if there are events of \
                 it since; event ids are compared where that condition fails; 16 connections"
            }
            Contestant::Nats => {
                "`sync_interval: always`; an aggregate is a subject, whose last sequence is \
                 expected; event ids are message ids, compared within two minutes; large appends \
                 are atomic batches; 16 connections"
            }
        }
    }

    /// How it is reached.
    pub(crate) fn place(self) -> Place {
        match self {
            Contestant::RetoldHttp
            | Contestant::RetoldShared
            | Contestant::Umadb
            | Contestant::Nats => Place::Network,
            _ => Place::InProcess,
        }
    }

    /// Whether it is ours.
    pub(crate) fn is_ours(self) -> bool {
        matches!(
            self,
            Contestant::Retold | Contestant::RetoldHttp | Contestant::RetoldShared
        )
    }

    /// The program that plays its session, with the arguments that choose it.
    pub(crate) fn program(self) -> anyhow::Result<(PathBuf, Vec<String>)> {
        let needed = match self {
            Contestant::SqliteEs => Some(SQLITE_ES),
            Contestant::RetoldHttp | Contestant::RetoldShared => Some(http::PROGRAM),
            Contestant::Umadb => Some(umadb::PROGRAM),
            Contestant::Nats => Some(nats::PROGRAM),
            Contestant::Retold | Contestant::Null | Contestant::Evento => None,
        };
        let named = match needed {
            Some(variable) => {
                let program = env::var_os(variable);
                Some(PathBuf::from(program.with_context(|| {
                    format!("find {}: {variable} is not set", self.label())
                })?))
            }
            None => None,
        };
        if let (Contestant::SqliteEs, Some(program)) = (self, named) {
            return Ok((program, Vec::new()));
        }
        let arguments = vec!["session".to_owned(), self.name()];
        Ok((env::current_exe()?, arguments))
    }

    /// Plays its session in this process.
    pub(crate) async fn play(self, arguments: &Arguments) -> anyhow::Result<()> {
        match self {
            Contestant::Retold => play::<retold::Retold>(arguments).await,
            Contestant::Null => play::<null::Null>(arguments).await,
            Contestant::Evento => play::<evento::Evento>(arguments).await,
            Contestant::RetoldHttp => play::<http::Http>(arguments).await,
            Contestant::RetoldShared => play::<shared::Shared>(arguments).await,
            Contestant::Umadb => play::<umadb::UmaDb>(arguments).await,
            Contestant::Nats => play::<nats::Nats>(arguments).await,
            Contestant::SqliteEs => bail!("play sqlite-es: it is a program of its own"),
        }
    }
}

impl Place {
    /// As the heading of a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Place::InProcess => "In process",
            Place::Network => "Over the network",
        }
    }

    /// Within a sentence.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Place::InProcess => "in process",
            Place::Network => "over the network",
        }
    }

    /// In the names of files.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Place::InProcess => "process",
            Place::Network => "network",
        }
    }
}
