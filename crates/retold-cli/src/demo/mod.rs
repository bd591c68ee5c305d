//! `retold demo`: a service with made-up issues and executions that go on happening, so that
//! there is something to look at within seconds.

mod story;
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use retold::{LogQuery, NewEvent, Retold, StreamId, Timestamp};
use retold_server::{App, Options, stop_signal};
use serde_json::json;

use self::world::World;
use crate::client::{Failure, Kind, holder_of_server};
use crate::commands::serve::{LISTEN, bind};
use crate::logging::{self, LogFormat};
use crate::output::Output;

/// How far back the made-up history begins.
const PAST: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Steps of the made-up history: with forty issues some are finished, some are on their way, and
/// none has more events than fit a screen or two.
const PAST_STEPS: u32 = 320;

/// Time between two steps while the demo runs: often enough to be seen, and at most some 43,000
/// events on a day on which it is forgotten.
const STEP: Duration = Duration::from_secs(2);

/// The stream that tells a demo from a store somebody needs.
const MARK: (&str, &str) = ("Demo", "about");

const EXAMPLES: &str = "\
Examples:
  retold demo
  retold demo --listen 127.0.0.1:8080 --folder /tmp/demo

Delete the folder to begin again.";

/// Serves made-up issues and executions to look at.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = LISTEN)]
    listen: SocketAddr,

    /// Where the made-up events are kept.
    #[arg(long, default_value = "./demo-data")]
    folder: PathBuf,
}

impl Demo {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<()> {
        logging::begin(LogFormat::Text);
        let options = Options::default();
        let server = bind(self.listen, &options).await?;
        let stop = stop_signal().context("listen for signals")?;
        let url = server.url();
        let retold = Retold::builder()
            .builtin_machines()
            .builtin_projections()
            .holder(holder_of_server(&url))
            .open(&self.folder)
            .await
            .map_err(Failure::from)?;
        let world = begin(&retold, &self.folder).await?;
        say(output, &url, &self.folder)?;
        let living = tokio::spawn(live(retold.clone(), world));
        let served = server.run(App::new(retold, options), stop).await;
        living.abort();
        served.map_err(|error| Failure::from(error).into())
    }
}

/// The world of a demo: a new one with its past, or the one that the folder holds.
async fn begin(retold: &Retold, folder: &Path) -> anyhow::Result<World> {
    let log = retold.log(LogQuery::after(0).limit(1)).await?;
    if log.entries.is_empty() {
        let mut world = World::default();
        let now = Timestamp::now();
        let past = i64::try_from(PAST.as_micros()).unwrap_or(i64::MAX);
        let mark = StreamId::new(MARK.0, MARK.1)?;
        let note = json!({"note": "everything in this store is made up"});
        let mark = NewEvent::new(mark, "demo.begun", &note)?;
        let begun = now.saturating_add_micros(-past);
        retold.append(mark.timestamp(begun)).await?;
        for step in 0..PAST_STEPS {
            let ago = past - past / i64::from(PAST_STEPS) * i64::from(step);
            world
                .past_step(retold, now.saturating_add_micros(-ago))
                .await?;
        }
        return Ok(world);
    }
    if retold
        .store()
        .stream_head(&StreamId::new(MARK.0, MARK.1)?)
        .await?
        .is_none()
    {
        let message = format!(
            "begin a demo in {}: the folder holds a store that no demo made",
            folder.display()
        );
        return Err(Failure::new(Kind::Usage, message)
            .hint("name another with --folder")
            .into());
    }
    World::load(retold).await
}

/// What happens while the demo runs.
async fn live(retold: Retold, mut world: World) {
    loop {
        tokio::time::sleep(STEP).await;
        if let Err(error) = world.step(&retold, Timestamp::now()).await {
            // Somebody else may take transitions too; then the world is not as it was known.
            tracing::debug!(%error, "nothing happened this time");
            match World::load(&retold).await {
                Ok(loaded) => world = loaded,
                Err(error) => return tracing::warn!(%error, "nothing happens any more"),
            }
        }
    }
}

fn say(output: &Output, url: &str, folder: &Path) -> anyhow::Result<()> {
    if output.json {
        let told = json!({"url": url, "folder": folder, "madeUp": true});
        return output.line(told.to_string());
    }
    // As it was called here, which is what works here: after `cargo run` it is in no PATH.
    let program = std::env::args().next().unwrap_or_else(|| "retold".into());
    let folder = folder.display();
    output.line(format!(
        "\
The issues and executions here are made up; more happens to them while this runs.

  Look at them:   {url}/

Two commands to try next, in another terminal:
  {program} --store {url} state Issue/DEMO-7 --history
  {program} --store {folder} events --follow --after head

The events are in {folder}. Ctrl-C ends the demo."
    ))
}
