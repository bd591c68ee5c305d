//! How consumers stand, for a person.

use serde_json::Value;

use crate::client::{Client, Path, parsed};
use crate::output::{Output, Table, clean, shown};

pub(super) async fn list(client: &Client, output: &Output) -> anyhow::Result<()> {
    let answer: Value = client.get_as(Path::new(&["consumers"]).as_str()).await?;
    let mut table = Table::new(&["NAME", "POSITION", "BEHIND", "IN FLIGHT", "PARKED", "STATE"]);
    for consumer in answer["consumers"].as_array().into_iter().flatten() {
        if output.json {
            output.line(consumer.to_string())?;
            continue;
        }
        table.push(vec![
            shown(&consumer["name"]),
            shown(&consumer["position"]),
            shown(&consumer["lag"]["events"]),
            shown(&consumer["inFlight"]),
            shown(&consumer["parkedStreams"]),
            state(consumer),
        ]);
    }
    match (output.json, table.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => {
            output.note("there are no consumers; retold consumers create makes one");
            Ok(())
        }
        (false, false) => output.table(&table),
    }
}

pub(super) async fn show(client: &Client, output: &Output, path: &Path) -> anyhow::Result<()> {
    let answer = client.get(path.as_str()).await?;
    if output.json {
        return output.line(answer);
    }
    let consumer: Value = parsed(&answer)?;
    let lag = &consumer["lag"];
    let behind = format!(
        "{} places, {:.1} s",
        shown(&lag["events"]),
        lag["seconds"].as_f64().unwrap_or_default()
    );
    let mut fields = vec![
        ("name".to_owned(), shown(&consumer["name"])),
        ("state".to_owned(), state(&consumer)),
        ("position".to_owned(), shown(&consumer["position"])),
        ("behind".to_owned(), behind),
        ("in flight".to_owned(), shown(&consumer["inFlight"])),
        (
            "waiting streams".to_owned(),
            shown(&consumer["waitingStreams"]),
        ),
        (
            "parked streams".to_owned(),
            shown(&consumer["parkedStreams"]),
        ),
        ("acknowledged".to_owned(), shown(&consumer["acknowledged"])),
    ];
    if !consumer["lastError"].is_null() {
        fields.push(("last error".to_owned(), shown(&consumer["lastError"])));
    }
    let settings = consumer["settings"].as_object().into_iter().flatten();
    for (name, value) in settings {
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        fields.push((name.clone(), text));
    }
    output.table(&Table::of_fields(fields))
}

/// What a consumer does, in a few words.
fn state(consumer: &Value) -> String {
    let text = |name: &str| consumer[name].as_str().map(clean);
    if let Some(reason) = text("ended") {
        return format!("ended: {reason}");
    }
    if let Some(reason) = text("paused") {
        return format!("paused: {reason}");
    }
    if let Some(reason) = text("held") {
        return format!("holds: {reason}");
    }
    match consumer["isOpen"] == true {
        true => "open".to_owned(),
        false => "not open".to_owned(),
    }
}

pub(super) fn audit(output: &Output, audit: &Value) -> anyhow::Result<()> {
    let verdict = match audit["isComplete"] == true {
        true => "complete: every event that was due is acknowledged, passed over, or waits",
        false => "NOT complete",
    };
    let names = [
        ("began behind", "after"),
        ("complete through", "position"),
        ("due", "due"),
        ("waiting", "waiting"),
        ("finished ahead", "ahead"),
        ("expected", "expected"),
        ("acknowledged", "acknowledged"),
    ];
    let mut fields = vec![("verdict".to_owned(), verdict.to_owned())];
    fields.extend(names.map(|(name, field)| (name.to_owned(), shown(&audit[field]))));
    let skipped = audit["skipped"].as_array();
    fields.push((
        "passed over".to_owned(),
        skipped.map_or(0, Vec::len).to_string(),
    ));
    output.table(&Table::of_fields(fields))?;
    let mut table = Table::new(&["PASSED OVER", "REASON", "ERROR"]);
    for event in skipped.into_iter().flatten() {
        table.push(vec![
            shown(&event["position"]),
            shown(&event["reason"]),
            shown(&event["error"]),
        ]);
    }
    if !table.is_empty() {
        output.line("")?;
        output.table(&table)?;
    }
    Ok(())
}
