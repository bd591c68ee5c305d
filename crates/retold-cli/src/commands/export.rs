//! `retold export`: the whole log as lines of JSON, from which `import` restores it.

use std::io::Write;
use std::path::{Path as FilePath, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::client::{Client, Failure, Kind, Lines, NDJSON, Path};
use crate::output::{Output, Progress, counted};

/// What stands behind a file's name until it is whole.
const UNFINISHED: &str = ".part";

const EXAMPLES: &str = "\
Examples:
  retold export --output all.ndjson
  retold export | gzip > all.ndjson.gz
  retold --store ./copy import all.ndjson       restores it, into an empty store

An export holds every event as it was recorded, Retold's own too.";

/// Writes all events, one on each line.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Export {
    /// The file; standard output unless told otherwise. It has its name once it is whole.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Only events of this aggregate type; such an export cannot be restored, only appended.
    #[arg(long = "type", value_name = "TYPE")]
    aggregate_type: Option<String>,
}

impl Export {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let info: Value = client.get_as(Path::new(&["info"]).as_str()).await?;
        let head = info["head"].as_u64();
        let path = Path::new(&["events"])
            .with("includeReserved", true)
            .with_some("aggregateType", self.aggregate_type);
        let answer = client.read(path.as_str(), NDJSON).await?;
        let lines = Lines::new(answer.into_body());
        let progress = Progress::new(output, "exported", head);
        let count = match &self.output {
            None => write(lines, &mut std::io::stdout().lock(), &progress).await?,
            Some(file) => write_file(lines, file, &progress).await?,
        };
        drop(progress);
        match &self.output {
            Some(file) => output.line(match output.json {
                true => serde_json::json!({"events": count, "file": file}).to_string(),
                false => format!(
                    "{} in {}",
                    counted(count, "event is", "events are"),
                    file.display()
                ),
            }),
            None => Ok(()),
        }
    }
}

async fn write(mut lines: Lines, out: &mut impl Write, progress: &Progress) -> anyhow::Result<u64> {
    let mut count = 0;
    while let Some(line) = lines.next().await? {
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        progress.add(1);
        count += 1;
    }
    out.flush()?;
    Ok(count)
}

/// Writes a file that has its name only when it is whole and on stable storage.
async fn write_file(lines: Lines, file: &FilePath, progress: &Progress) -> anyhow::Result<u64> {
    if file.exists() {
        let message = format!("write {}: it exists already", file.display());
        return Err(Failure::new(Kind::Usage, message).into());
    }
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let action = || format!("write {}", unfinished.display());
    let made = std::fs::File::create(&unfinished).with_context(action)?;
    let mut out = std::io::BufWriter::new(made);
    let count = write(lines, &mut out, progress).await?;
    let made = out
        .into_inner()
        .map_err(|error| error.into_error())
        .with_context(action)?;
    made.sync_all().with_context(action)?;
    std::fs::rename(&unfinished, file).with_context(action)?;
    Ok(count)
}
