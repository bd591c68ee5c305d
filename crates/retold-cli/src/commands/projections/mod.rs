//! `retold projections`: the tables that are derived from the log, how each stands, their rows, and
//! what people decide about them.

mod show;

use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};

use crate::client::{Client, Failure, JSON, Kind, Path, parsed};
use crate::output::{Output, Progress};

/// The pause between two looks at something that is being built.
const LOOK: Duration = Duration::from_millis(50);

/// How long a projection may take until it is opened: its versions are looked at, no more.
const OPENING_WAIT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  retold projections list                       each version with its place
  retold projections show current_state         its tables and columns
  retold projections rows current_state streams --filter '{\"status\":\"BLOCKED\"}'
  retold projections rows current_state streams --key '[\"Issue\",\"42\"]'
  retold projections rebuild process_map --wait build it anew beside the one that is read
  retold projections rebuild process_map --hold and wait to be told before it takes over
  retold projections compare process_map        where the new one differs
  retold projections promote process_map        read the new one
  retold projections bring-back process_map     read the one before again

In a folder the tables are SQLite files, open to any SQL tool: views/<name>@<version>.db.";

/// Shows projections and their rows, rebuilds them, and decides about them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Projections {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists them with their versions, and how each stands.
    List,
    /// Shows one with its tables.
    Show {
        /// Its name.
        name: String,
    },
    /// Reads rows of a table.
    Rows(Rows),
    /// Builds a version anew beside the one that is read, which it then replaces.
    Rebuild {
        /// Its name.
        name: String,
        /// Waits to be promoted once it has caught up.
        #[arg(long)]
        hold: bool,
        /// Ends only once it has caught up. In a folder that no server holds it always waits.
        #[arg(long)]
        wait: bool,
    },
    /// Pauses the version that is being built, or else the one that is read.
    Pause {
        /// Its name.
        name: String,
        /// Why; it is kept in the log.
        #[arg(long)]
        reason: String,
    },
    /// Goes on after a pause, or with the event that it failed on.
    Resume {
        /// Its name.
        name: String,
    },
    /// Gives the version up that is being built.
    Cancel {
        /// Its name.
        name: String,
    },
    /// Reads the version that was built, in place of the one that is read.
    Promote {
        /// Its name.
        name: String,
    },
    /// Reads the version again that was read before.
    BringBack {
        /// Its name.
        name: String,
    },
    /// Removes the version that was read before.
    Discard {
        /// Its name.
        name: String,
    },
    /// Compares the version that is read with another one, row by row.
    ///
    /// Exits with 5 where they differ.
    Compare {
        /// Its name.
        name: String,
        /// With the one that was read before, not the one that is being built.
        #[arg(long)]
        previous: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Rows {
    /// The projection.
    name: String,
    /// The table.
    table: String,
    /// The key of one row, as a JSON list.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["filter", "sort"])]
    key: Option<String>,
    /// Only rows that hold these values, as a JSON object of columns.
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// The column to sort by; with - before it the largest first.
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 100, conflicts_with = "all")]
    limit: usize,
    /// All of them.
    #[arg(long)]
    all: bool,
    /// Answers only once everything through this position is in the rows.
    #[arg(long, value_name = "POSITION")]
    min_position: Option<u64>,
    /// How long to wait for that.
    #[arg(long, value_name = "MS", requires = "min_position")]
    wait_ms: Option<u64>,
}

impl Projections {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        match self.action {
            Action::List => {
                let names = client
                    .get_as::<Value>(Path::new(&["projections"]).as_str())
                    .await?;
                for projection in names["projections"].as_array().into_iter().flatten() {
                    catch_up(client, output, &name_of(projection)).await?;
                }
                show::list(client, output).await
            }
            Action::Show { name } => {
                catch_up(client, output, &name).await?;
                show::show(client, output, &name).await
            }
            Action::Rows(rows) => {
                catch_up(client, output, &rows.name).await?;
                rows.run(client, output).await
            }
            Action::Rebuild { name, hold, wait } => {
                catch_up(client, output, &name).await?;
                let path = of(&name, &["rebuild"]).with_some("held", hold.then_some(true));
                let version = decide(client, &path, json!({})).await?;
                if wait || !client.is_server() {
                    built(client, output, &name, hold).await?;
                }
                let state = match (wait || !client.is_server(), hold) {
                    (true, false) => "is read",
                    (true, true) => "has caught up; retold projections promote reads it",
                    (false, _) => "is being built",
                };
                tell(output, &version, &format!("{name} {version} {state}"))
            }
            Action::Pause { name, reason } => {
                let body = json!({"reason": reason});
                let version = decide(client, &of(&name, &["pause"]), body).await?;
                tell(output, &version, &format!("{name} {version} pauses"))
            }
            Action::Resume { name } => simple(client, output, &name, "resume", "goes on").await,
            Action::Cancel { name } => simple(client, output, &name, "cancel", "is gone").await,
            Action::Promote { name } => {
                if !client.is_server() {
                    built(client, output, &name, true).await?;
                }
                simple(client, output, &name, "promote", "is read").await
            }
            Action::BringBack { name } => {
                simple(client, output, &name, "bring-back", "is read again").await
            }
            Action::Discard { name } => simple(client, output, &name, "discard", "is gone").await,
            Action::Compare { name, previous } => {
                catch_up(client, output, &name).await?;
                let with = if previous { "previous" } else { "building" };
                show::compare(client, output, &of(&name, &["compare"]).with("with", with)).await
            }
        }
    }
}

impl Rows {
    async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let wanted = if self.all { usize::MAX } else { self.limit };
        let mut path = of(&self.name, &["tables", &self.table])
            .with_some("key", self.key)
            .with_some("filter", self.filter)
            .with_some("sort", self.sort)
            .with_some("minPosition", self.min_position)
            .with_some("waitMs", self.wait_ms)
            .with("limit", wanted.min(show::PAGE_ROWS));
        let mut shown = 0;
        loop {
            let page = client.get(path.as_str()).await?;
            let next = show::rows(output, &page, wanted - shown)?;
            shown += next.shown;
            match next.next {
                Some(next) if shown < wanted => path = path.next(&next),
                Some(_) => {
                    output.note("there are more: --limit, --all, --filter");
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }
}

/// The path of a projection, or below it.
fn of(name: &str, parts: &[&str]) -> Path {
    let mut all = vec!["projections", name];
    all.extend(parts);
    Path::new(&all)
}

fn name_of(projection: &Value) -> String {
    projection["name"].as_str().unwrap_or_default().to_owned()
}

async fn decide(client: &Client, path: &Path, body: Value) -> anyhow::Result<String> {
    let answer = client.write(Method::POST, path.as_str(), JSON, body.to_string(), &[]);
    let answer: Value = parsed(&answer.await?)?;
    Ok(answer["version"].as_str().unwrap_or_default().to_owned())
}

async fn simple(
    client: &Client,
    output: &Output,
    name: &str,
    what: &str,
    told: &str,
) -> anyhow::Result<()> {
    opened(client, name).await?;
    let version = decide(client, &of(name, &[what]), json!({})).await?;
    tell(output, &version, &format!("{name} {version} {told}"))
}

fn tell(output: &Output, version: &str, told: &str) -> anyhow::Result<()> {
    match output.json {
        true => output.line(json!({"version": version}).to_string()),
        false => output.line(told),
    }
}

/// Waits until a projection of a store in this process has been opened.
async fn opened(client: &Client, name: &str) -> anyhow::Result<()> {
    until(client, None, name, |status| {
        status["versions"]
            .as_array()
            .is_some_and(|versions| !versions.is_empty())
    })
    .await
}

/// Lets the projection of a store that this process has opened catch up: nobody else does it. What
/// a server holds is answered as it is.
pub(crate) async fn catch_up(client: &Client, output: &Output, name: &str) -> anyhow::Result<()> {
    if client.is_server() {
        return Ok(());
    }
    until(
        client,
        Some((output, "current")),
        name,
        |status| match in_role(status, "current") {
            Some(current) => current["lagEvents"] == 0 && current["hasCaughtUp"] == true,
            None => false,
        },
    )
    .await
}

/// Waits until the version that is being built is read, or, held, has caught up.
async fn built(client: &Client, output: &Output, name: &str, hold: bool) -> anyhow::Result<()> {
    until(
        client,
        Some((output, "building")),
        name,
        |status| match in_role(status, "building") {
            Some(building) => hold && building["hasCaughtUp"] == true,
            None => true,
        },
    )
    .await
}

/// Looks at a projection until something holds, or it cannot come.
async fn until(
    client: &Client,
    shown: Option<(&Output, &str)>,
    name: &str,
    holds: impl Fn(&Value) -> bool,
) -> anyhow::Result<()> {
    let mut progress = None;
    let began = Instant::now();
    loop {
        let status: Value = client.get_as(of(name, &[]).as_str()).await?;
        if holds(&status) {
            return Ok(());
        }
        if let Some((output, role)) = shown
            && let Some(version) = in_role(&status, role)
        {
            if version["state"] != "running" && version["state"] != "waiting" {
                return stopped(name, version);
            }
            let progress = progress
                .get_or_insert_with(|| Progress::new(output, "building", status["head"].as_u64()));
            progress.set(version["completeThrough"].as_u64().unwrap_or_default());
        }
        let is_there = status["versions"]
            .as_array()
            .is_some_and(|versions| !versions.is_empty());
        if !is_there && began.elapsed() > OPENING_WAIT {
            let message = format!("read {name}: it was never built in this store");
            let hint = "open the store where it can be written, or ask the server that holds it";
            return Err(Failure::new(Kind::NotFound, message).hint(hint).into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn in_role<'a>(status: &'a Value, role: &str) -> Option<&'a Value> {
    let mut versions = status["versions"].as_array()?.iter();
    versions.find(|version| version["role"] == role)
}

/// What stands still is answered as it is, but for what failed.
fn stopped(name: &str, version: &Value) -> anyhow::Result<()> {
    let Some(error) = version["failure"]["error"].as_str() else {
        return Ok(());
    };
    let position = &version["failure"]["position"];
    let message = format!("go on with {name}: it failed on the event at {position}: {error}");
    let hint = "mend the projection, then resume it; retold projections show says more";
    Err(Failure::new(Kind::Failed, message).hint(hint).into())
}
