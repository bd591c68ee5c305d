//! The command line as a whole: what holds for every command, and which commands there are.

use clap::{Parser, Subcommand};

use crate::client::Location;
use crate::commands::{
    append, completions, consumers, events, export, import, index, machines, projections, recover,
    secrets, serve, snapshots, state, stats, streams, trace, transition, verify,
};
use crate::demo;
use crate::torture;

const EXAMPLES: &str = "\
Examples:
  retold demo                                   look at made-up issues in a browser
  retold transition Issue/42 start_work         take a transition
  retold state Issue/42                         the state now
  retold state Issue/42 --at-timestamp 2024-03-01 --history
                                                the state as it was, and how it came about
  retold events Issue/42                        what happened
  retold events --follow                        what is happening
  retold --store http://127.0.0.1:7878 streams  the same, through a server

A folder that a server holds is reached through that server.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 conflict, 4 not found, 5 damage.";

/// Keeps the state of long-lived things as the events that happened to them.
#[derive(Debug, Parser)]
#[command(name = "retold", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Where the store is: a folder, or the address of a server.
    #[arg(
        long,
        global = true,
        env = "RETOLD_STORE",
        hide_env_values = true,
        value_name = "FOLDER|URL",
        default_value = "./data"
    )]
    pub(crate) store: Location,

    /// Prints JSON: one object, or one on each line; errors too, on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Append(append::Append),
    Transition(transition::Transition),
    State(state::State),
    Events(events::Events),
    Streams(streams::Streams),
    Snapshots(snapshots::Snapshots),
    Machines(machines::Machines),
    Consumers(consumers::Consumers),
    Projections(projections::Projections),
    Trace(trace::Trace),
    Secrets(secrets::Secrets),
    Import(import::Import),
    Export(export::Export),
    Stats(stats::Stats),
    Verify(verify::Verify),
    Recover(recover::Recover),
    Index(index::Index),
    Torture(torture::Torture),
    Completions(completions::Completions),
}

/// A stream as a person writes it: the type, a slash, and the id, which may hold further slashes.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) aggregate_type: String,
    pub(crate) aggregate_id: String,
}

impl std::str::FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Stream, String> {
        let (aggregate_type, aggregate_id) = text
            .split_once('/')
            .ok_or("write it as TYPE/ID, such as Issue/42")?;
        let checked = retold::StreamId::new(aggregate_type, aggregate_id);
        checked.map_err(|error| error.to_string())?;
        Ok(Stream {
            aggregate_type: aggregate_type.to_owned(),
            aggregate_id: aggregate_id.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn only_the_first_slash_parts_type_and_id() {
        let stream: Stream = "Issue/a/b".parse().unwrap();
        assert_eq!(
            (&*stream.aggregate_type, &*stream.aggregate_id),
            ("Issue", "a/b")
        );
        assert!("Issue".parse::<Stream>().is_err());
        assert!("Issue/".parse::<Stream>().is_err());
    }
}
