//! `retold verify`: reads all that a folder holds and says whether it is as it was written.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use retold::engine::{DamagedPlace, Verified};
use retold::recovery::{Examined, examine};
use retold::{Retold, SnapshotsReport, StoreError};
use serde_json::{Value, json};

use crate::client::{Failure, Kind, Location};
use crate::disk_use;
use crate::output::{Output, Progress, Table, counted};

/// How often the bar looks how far the work has come.
const LOOK: Duration = Duration::from_millis(100);

/// Snapshots compared with a replay unless told otherwise: each costs a replay of its stream.
const SNAPSHOTS: usize = 100;

const EXAMPLES: &str = "\
Examples:
  retold verify                                 all of ./data
  retold --store /srv/retold verify --json
  retold verify || mail -s 'the log is damaged' ops

It reads every frame, checks every record against its checksum, and every link of the chain that
ties the frames together; whether the index knows each event as the log does; whether anything that
was derived from the log is ahead of it, which shows that its end is missing; and whether snapshots,
drawn by chance, are what a replay of their streams comes to. It changes nothing, takes no lock, and
may run beside a server.

Exit code 5 says that something is not as it was written; retold recover explains what can be done.";

/// Reads a whole store and says what is wrong with it, if anything.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// How many snapshots are compared with a replay of their streams.
    #[arg(long, value_name = "COUNT", default_value_t = SNAPSHOTS)]
    snapshots: usize,
}

impl Verify {
    pub(crate) async fn run(self, store: &Location, output: &Output) -> anyhow::Result<()> {
        let folder = store.existing_folder("verify")?;
        let examined = look(folder, output).await?;
        // A damaged log cannot be replayed.
        let snapshots = match is_sound(&examined.log) && examined.side_store.is_none() {
            true => Some(check_snapshots(folder, self.snapshots).await?),
            false => None,
        };
        match output.json {
            true => {
                let mut found = to_json(&examined.log, examined.side_store.as_ref());
                found["snapshots"] = snapshots.as_ref().map(snapshots_to_json).into();
                output.line(found.to_string())?;
            }
            false => {
                show(&examined, output)?;
                show_snapshots(snapshots.as_ref(), output)?;
            }
        }
        let differing = snapshots.map_or(0, |snapshots| snapshots.differing);
        match is_all_well(&examined.log) && differing == 0 {
            true => Ok(()),
            false => {
                let message = format!("find {} as it was written", folder.display());
                let failure = Failure::new(Kind::Damage, message);
                Err(failure.hint(next_step(&examined.log, folder)).into())
            }
        }
    }
}

/// Whether the log and all that is derived from it are as they should be.
fn is_all_well(log: &Verified) -> bool {
    is_sound(log) && index_faults(log) == 0
}

fn index_faults(log: &Verified) -> u64 {
    log.index.as_ref().map_or(0, |index| index.faults)
}

/// Whether nothing is wrong with the log that nobody has accepted yet.
pub(super) fn is_sound(log: &Verified) -> bool {
    // What an accepted loss left incomplete is known.
    let is_explained = log.incomplete_streams.is_empty() || !log.accepted.is_empty();
    log.damage.is_empty() && log.lost_tail.is_none() && log.ahead.is_none() && is_explained
}

fn next_step(log: &Verified, folder: &Path) -> String {
    let store = folder.display();
    if index_faults(log) > 0 && is_sound(log) {
        return format!("no event is lost: retold --store {store} index rebuild makes it again");
    }
    if is_sound(log) {
        return "no event is lost: a snapshot may be deleted, retold snapshots prune, or state.db as \
                a whole while nobody has the store open"
            .into();
    }
    let what = match log.damage.is_empty() {
        true => "put the missing part back from a backup",
        false => "put the damaged file back from a backup",
    };
    format!("{what}; retold --store {store} recover says what else can be done")
}

/// Looks at a folder while a bar shows how far that has come.
pub(super) async fn look(folder: &Path, output: &Output) -> anyhow::Result<Examined> {
    let total = disk_use::of(folder)?.log.bytes;
    let progress = Progress::of_bytes(output, "verified", Some(total));
    let bytes_read = Arc::<AtomicU64>::default();
    let work = examine(folder, Arc::clone(&bytes_read));
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done.map_err(|error| Failure::from(error).into()),
            () = tokio::time::sleep(LOOK) => progress.set(bytes_read.load(Ordering::Relaxed)),
        }
    }
}

/// Compares some snapshots with what their streams come to.
async fn check_snapshots(folder: &Path, sample: usize) -> anyhow::Result<SnapshotsReport> {
    let builder = Retold::builder().builtin_machines().read_only();
    let retold = builder.open(folder).await.map_err(Failure::from)?;
    let report = retold.check_snapshots().sample(sample).await;
    let closed = retold.close().await;
    let report = report.map_err(Failure::from)?;
    closed.map_err(Failure::from)?;
    Ok(report)
}

fn show_snapshots(report: Option<&SnapshotsReport>, output: &Output) -> anyhow::Result<()> {
    let Some(report) = report.filter(|report| report.kept > 0) else {
        return Ok(());
    };
    if report.differing == 0 {
        return output.line(format!(
            "{} of {} compared with a replay: each is what its stream comes to.",
            report.checked,
            counted(report.kept, "snapshot was", "snapshots were")
        ));
    }
    output.line("\nSnapshots that are not what their streams come to")?;
    let mut table = Table::new(&["STREAM", "#", "WHAT"]);
    for difference in &report.differences {
        table.push(vec![
            difference.stream.to_string(),
            difference.sequence_number.to_string(),
            format!("{:?}", difference.fault),
        ]);
    }
    output.table(&table)
}

fn snapshots_to_json(report: &SnapshotsReport) -> Value {
    let differences = report.differences.iter().map(|difference| {
        json!({
            "stream": difference.stream.to_string(),
            "sequenceNumber": difference.sequence_number,
            "what": format!("{:?}", difference.fault),
        })
    });
    json!({
        "kept": report.kept,
        "checked": report.checked,
        "differing": report.differing,
        "unused": report.unused,
        "seed": report.seed,
        "differences": differences.collect::<Vec<_>>(),
    })
}

/// Shows what was found.
pub(super) fn show(examined: &Examined, output: &Output) -> anyhow::Result<()> {
    let Examined {
        log, side_store, ..
    } = examined;
    let mut rows = vec![
        ("log id", log.log_id.to_string()),
        ("events", log.head.to_string()),
        ("segments", log.segments.to_string()),
        ("frames as they were written", log.frames.to_string()),
    ];
    if let Some(index) = &log.index {
        let through = match index.runs {
            0 => "nothing is on disk yet".to_owned(),
            runs => format!(
                "{} through position {}",
                counted(runs as u64, "file", "files"),
                index.through
            ),
        };
        rows.push(("index", through));
    }
    if log.unfinished_bytes > 0 {
        let bytes = format!(
            "{} (a crash came before they were acknowledged; opening the store moves them aside)",
            log.unfinished_bytes
        );
        rows.push(("unfinished bytes at the end", bytes));
    }
    let rows = rows.into_iter().map(|(name, value)| (name.into(), value));
    output.table(&Table::of_fields(rows.collect()))?;
    places(output, "Damage", &log.damage)?;
    places(output, "Damage that was accepted", &log.accepted)?;
    for damage in [&log.lost_tail, &log.ahead].into_iter().flatten() {
        output.line(format!(
            "\nThe end of the log is missing: {}",
            damage.reason
        ))?;
    }
    if !log.incomplete_streams.is_empty() {
        output.line("\nStreams of which events are missing")?;
        let mut table = Table::new(&["STREAM", "FIRST MISSING #"]);
        for (stream, sequence) in &log.incomplete_streams {
            table.push(vec![stream.to_string(), sequence.to_string()]);
        }
        output.table(&table)?;
    }
    if let Some(index) = log.index.as_ref().filter(|index| index.faults > 0) {
        output.line("\nThe index does not fit the log")?;
        for fault in &index.told {
            output.line(format!("- {fault}"))?;
        }
        if index.faults > index.told.len() as u64 {
            output.line(format!(
                "- and {} more",
                index.faults - index.told.len() as u64
            ))?;
        }
    }
    if let Some(error) = side_store {
        output.line(format!(
            "\nstate.db could not be looked at: failed to {error}. It holds nothing that cannot \
             be derived from the log again."
        ))?;
    }
    if is_sound(log) && log.accepted.is_empty() {
        output.line("\nThe log is whole: every frame and record is as it was written.")?;
    } else if is_sound(log) {
        output.line("\nThe rest of the log is as it was written.")?;
    }
    Ok(())
}

/// One line for each run of lost positions, and for each event of which something is known.
fn places(output: &Output, title: &str, places: &[DamagedPlace]) -> anyhow::Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    output.line(format!("\n{title}"))?;
    let headings = [
        "FILE",
        "BYTE",
        "WHAT",
        "POSITIONS",
        "STREAM",
        "#",
        "EVENT ID",
    ];
    let mut table = Table::new(&headings);
    for place in places {
        let start = [
            place.file.clone(),
            place.offset.to_string(),
            place.reason.clone(),
        ];
        let mut is_told = false;
        for (first, last) in &place.lost {
            let known: Vec<_> = place
                .known
                .iter()
                .filter(|lost| (*first..=*last).contains(&lost.position))
                .collect();
            is_told = true;
            if known.is_empty() {
                let positions = match first == last {
                    true => first.to_string(),
                    false => format!("{first}-{last}"),
                };
                table.push([&start[..], &[positions]].concat());
            }
            for lost in known {
                let text = |value: Option<String>| value.unwrap_or_else(|| "-".into());
                let known = [
                    lost.position.to_string(),
                    text(lost.stream.as_ref().map(ToString::to_string)),
                    text(lost.sequence_number.map(|number| number.to_string())),
                    text(lost.event_id.map(|id| id.to_string())),
                ];
                table.push([&start[..], &known].concat());
            }
        }
        if !is_told {
            table.push([&start[..], &["none".to_owned()]].concat());
        }
    }
    output.table(&table)
}

pub(super) fn to_json(log: &Verified, side_store: Option<&retold::Error>) -> Value {
    let places = |places: &[DamagedPlace]| -> Vec<Value> {
        let places = places.iter().map(|place| {
            let lost = place.lost.iter();
            let known = place.known.iter().map(|lost| {
                json!({
                    "position": lost.position,
                    "stream": lost.stream.as_ref().map(ToString::to_string),
                    "sequenceNumber": lost.sequence_number,
                    "eventId": lost.event_id,
                })
            });
            json!({
                "file": place.file,
                "offset": place.offset,
                "reason": place.reason,
                "lost": lost.map(|(first, last)| json!({"first": first, "last": last})).collect::<Vec<_>>(),
                "known": known.collect::<Vec<_>>(),
            })
        });
        places.collect()
    };
    let reason = |damage: &Option<retold::Damage>| {
        let damage = damage.as_ref();
        damage.map(|damage| json!({"position": damage.position, "reason": damage.reason}))
    };
    let incomplete = log.incomplete_streams.iter();
    let incomplete = incomplete
        .map(|(stream, first)| json!({"stream": stream.to_string(), "firstMissing": first}));
    json!({
        "isWhole": log.is_whole(),
        "isSound": is_sound(log),
        "logId": log.log_id,
        "head": log.head,
        "segments": log.segments,
        "frames": log.frames,
        "unfinishedBytes": log.unfinished_bytes,
        "damage": places(&log.damage),
        "accepted": places(&log.accepted),
        "lostTail": reason(&log.lost_tail),
        "ahead": reason(&log.ahead),
        "index": log.index.as_ref().map(|index| json!({
            "runs": index.runs,
            "through": index.through,
            "faults": index.faults,
            "told": index.told,
        })),
        "incompleteStreams": incomplete.collect::<Vec<_>>(),
        "sideStore": side_store.map(|error| format!("failed to {error}")),
    })
}

/// Whether an error says that the folder is in use.
pub(super) fn is_in_use(error: &retold::Error) -> bool {
    matches!(error, retold::Error::Store(StoreError::Busy { .. }))
}
