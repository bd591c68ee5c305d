//! How projections stand, their rows and where versions differ, for a person.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::of;
use crate::client::{Client, Failure, Kind, Path, parsed};
use crate::output::{Output, Table, clean, shown};

/// Rows in one request, the most that the interface gives.
pub(super) const PAGE_ROWS: usize = 1_000;

pub(super) async fn list(client: &Client, output: &Output) -> anyhow::Result<()> {
    let answer: Value = client.get_as(Path::new(&["projections"]).as_str()).await?;
    let mut table = Table::new(&["NAME", "VERSION", "ROLE", "POSITION", "BEHIND", "STATE"]);
    for projection in answer["projections"].as_array().into_iter().flatten() {
        if output.json {
            output.line(projection.to_string())?;
            continue;
        }
        for version in projection["versions"].as_array().into_iter().flatten() {
            table.push(vec![
                shown(&projection["name"]),
                shown(&version["version"]),
                shown(&version["role"]),
                shown(&version["completeThrough"]),
                shown(&version["lagEvents"]),
                state(version),
            ]);
        }
    }
    match (output.json, table.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => {
            output.note("there are no projections");
            Ok(())
        }
        (false, false) => output.table(&table),
    }
}

/// What a version does, in a few words.
fn state(version: &Value) -> String {
    let name = shown(&version["state"]);
    let reason = version["reason"].as_str().map(clean);
    let failure = version["failure"]["error"].as_str().map(clean);
    let at = &version["failure"]["position"];
    let seconds = version["remainingSeconds"].as_f64();
    match (reason, failure, seconds) {
        (Some(reason), _, _) => format!("{name}: {reason}"),
        (_, Some(error), _) => format!("{name} at {at}: {error}"),
        _ if version["isHeld"] == true && version["hasCaughtUp"] == true => {
            "waits to be promoted".to_owned()
        }
        (_, _, Some(seconds)) if seconds >= 1.0 => format!("{name}, {seconds:.0} s left"),
        _ => name,
    }
}

pub(super) async fn show(client: &Client, output: &Output, name: &str) -> anyhow::Result<()> {
    let answer = client.get(of(name, &[]).as_str()).await?;
    if output.json {
        return output.line(answer);
    }
    let projection: Value = parsed(&answer)?;
    let mut fields = vec![("name".to_owned(), shown(&projection["name"]))];
    for version in projection["versions"].as_array().into_iter().flatten() {
        let told = format!(
            "{}, through {} of {}, {}",
            shown(&version["version"]),
            shown(&version["completeThrough"]),
            shown(&projection["head"]),
            state(version)
        );
        fields.push((shown(&version["role"]), told));
    }
    for table in projection["tables"].as_array().into_iter().flatten() {
        let columns = table["columns"].as_array().into_iter().flatten();
        let columns: Vec<String> = columns.map(|column| shown(&column["name"])).collect();
        fields.push((
            format!("table {}", shown(&table["name"])),
            columns.join(", "),
        ));
    }
    output.table(&Table::of_fields(fields))
}

#[derive(Deserialize)]
struct Page {
    rows: Vec<Box<RawValue>>,
    next: Option<String>,
}

/// How many rows of a page were shown, and where the next one is.
pub(super) struct Shown {
    pub(super) shown: usize,
    pub(super) next: Option<String>,
}

pub(super) fn rows(output: &Output, page: &[u8], wanted: usize) -> anyhow::Result<Shown> {
    let page: Page = parsed(page)?;
    let rows = &page.rows[..page.rows.len().min(wanted)];
    if output.json {
        for row in rows {
            output.line(row.get())?;
        }
    } else {
        let mut table: Option<Table> = None;
        for row in rows {
            let row: serde_json::Map<String, Value> = parsed(row.get().as_bytes())?;
            let names: Vec<&str> = row.keys().map(String::as_str).collect();
            let table = table.get_or_insert_with(|| Table::new(&names));
            table.push(
                row.values()
                    .map(|value| match value {
                        Value::Null => String::new(),
                        value => shown(value),
                    })
                    .collect(),
            );
        }
        if let Some(table) = table {
            output.table(&table)?;
        }
    }
    Ok(Shown {
        shown: rows.len(),
        next: page.next,
    })
}

pub(super) async fn compare(client: &Client, output: &Output, path: &Path) -> anyhow::Result<()> {
    let answer = client.get(path.as_str()).await?;
    let compared: Value = parsed(&answer)?;
    if output.json {
        output.line(answer)?;
    } else {
        let mut table = Table::new(&["TABLE", "EQUAL", "DIFFERENT", "MISSING", "ADDED", "NOTE"]);
        for one in compared["tables"].as_array().into_iter().flatten() {
            let counts = ["table", "equal", "different", "missing", "added"];
            let mut row: Vec<String> = counts.iter().map(|name| shown(&one[*name])).collect();
            row.push(one["incomparable"].as_str().map(clean).unwrap_or_default());
            table.push(row);
        }
        output.table(&table)?;
        for one in compared["tables"].as_array().into_iter().flatten() {
            for row in one["differences"].as_array().into_iter().flatten() {
                let (values, with) = (&row["values"], &row["with"]);
                output.line(format!(
                    "{} {}: {} | {}",
                    shown(&one["table"]),
                    clean(&row["key"].to_string()),
                    clean(&values.to_string()),
                    clean(&with.to_string())
                ))?;
            }
        }
        let at = (
            &compared["completeThrough"],
            &compared["withCompleteThrough"],
        );
        if at.0 != at.1 {
            output.note(&format!(
                "one is at position {}, the other at {}: what happened in between differs too",
                at.0, at.1
            ));
        }
    }
    match compared["isEqual"] == true {
        true => Ok(()),
        false => {
            let message = "find the two versions equal".to_owned();
            Err(Failure::new(Kind::Damage, message).into())
        }
    }
}
