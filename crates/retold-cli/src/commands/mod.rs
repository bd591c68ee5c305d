//! The commands, one file each. Each says its arguments, makes its requests, and shows the
//! answers; what the answers mean is the service's business.

pub(crate) mod append;
pub(crate) mod completions;
pub(crate) mod consumers;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod index;
pub(crate) mod machines;
pub(crate) mod projections;
pub(crate) mod recover;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod snapshots;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod streams;
pub(crate) mod trace;
pub(crate) mod transition;
pub(crate) mod verify;

use crate::arguments::{Arguments, Command};
use crate::client::Opening;
use crate::output::Output;

/// Runs the command that was asked for.
pub(crate) async fn run(arguments: Arguments, output: &Output) -> anyhow::Result<()> {
    let command = match arguments.command {
        Command::Serve(serve) => return serve.run(&arguments.store).await,
        Command::Demo(demo) => return demo.run(output).await,
        Command::Completions(completions) => return completions.run(output),
        Command::Secrets(secrets) => return secrets.run(&arguments.store, output),
        Command::Verify(verify) => return verify.run(&arguments.store, output).await,
        Command::Recover(recover) => return recover.run(&arguments.store, output).await,
        Command::Index(index) => return index.run(&arguments.store, output).await,
        Command::Torture(torture) => return torture.run(&arguments.store, output).await,
        other => other,
    };
    let opening = match &command {
        Command::Append(_) | Command::Transition(_) | Command::Import(_) => Opening::MayMake,
        Command::Machines(machines) => machines.opening(),
        Command::Consumers(consumers) => consumers.opening(),
        Command::Events(events) => events.opening(),
        Command::Streams(streams) => streams.opening(),
        Command::Projections(_) => Opening::WithProjections,
        _ => Opening::MustExist,
    };
    let client = arguments.store.open(opening).await?;
    let done = match command {
        Command::Append(append) => append.run(&client, output).await,
        Command::Transition(transition) => transition.run(&client, output).await,
        Command::State(state) => state.run(&client, output).await,
        Command::Events(events) => events.run(&client, output).await,
        Command::Streams(streams) => streams.run(&client, output).await,
        Command::Snapshots(snapshots) => snapshots.run(&client, output).await,
        Command::Machines(machines) => machines.run(&client, output).await,
        Command::Consumers(consumers) => consumers.run(&client, output).await,
        Command::Projections(projections) => projections.run(&client, output).await,
        Command::Trace(trace) => trace.run(&client, output).await,
        Command::Import(import) => import.run(&client, output).await,
        Command::Export(export) => export.run(&client, output).await,
        Command::Stats(stats) => {
            stats
                .run(&client, arguments.store.as_folder(), output)
                .await
        }
        Command::Serve(_)
        | Command::Demo(_)
        | Command::Completions(_)
        | Command::Secrets(_)
        | Command::Verify(_)
        | Command::Recover(_)
        | Command::Index(_)
        | Command::Torture(_) => Ok(()),
    };
    let closed = client.close().await;
    done.and(closed)
}
