//! Lines of JSON: an event on each, new or as an export wrote it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use anyhow::Context;
use serde_json::value::RawValue;

use super::{Event, Item};

/// Bytes of one line: an event of 960 KiB with its metadata, every byte of it escaped.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What only a recorded event has, and the store gives anew.
const RECORDED: [&str; 3] = ["sequenceNumber", "position", "persistedAt"];

/// Reads events from lines. Empty lines are passed over.
pub(super) fn read(file: impl Read + Send) -> impl Iterator<Item = anyhow::Result<Item>> + Send {
    let mut file = BufReader::new(file);
    let mut line = 0;
    std::iter::from_fn(move || {
        loop {
            line += 1;
            let mut bytes = Vec::new();
            let read = (&mut file)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut bytes);
            match read.context("read the file") {
                Ok(0) => return None,
                Ok(_) if bytes.len() as u64 == LINE_BYTES_MAX => {
                    return Some(Err(anyhow::anyhow!("read line {line}: it is too long")));
                }
                Ok(_) if bytes.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok(item(line, &bytes))),
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

/// The fields of an object, each in its own spelling.
type Fields = BTreeMap<String, Box<RawValue>>;

fn item(line: u64, bytes: &[u8]) -> Item {
    let refused = |reason: String| Item::Refused { line, reason };
    let mut fields = match serde_json::from_slice::<Fields>(bytes) {
        Ok(fields) => fields,
        Err(error) => return refused(format!("not an object in JSON: {error}")),
    };
    let is_recorded = RECORDED.iter().all(|name| fields.contains_key(*name));
    if !is_recorded {
        return match serde_json::to_string(&fields) {
            Ok(new) => Item::Event(Event {
                line,
                new: Some(one_line(new)),
                recorded: None,
            }),
            Err(error) => refused(error.to_string()),
        };
    }
    for name in RECORDED {
        fields.remove(name);
    }
    match appendable(fields) {
        Ok(new) => Item::Event(Event {
            line,
            new: new.map(one_line),
            recorded: Some(String::from_utf8_lossy(bytes.trim_ascii()).into_owned()),
        }),
        Err(error) => refused(error.to_string()),
    }
}

/// A recorded event as anybody may append it: without what only Retold writes.
fn appendable(mut fields: Fields) -> serde_json::Result<Option<String>> {
    let aggregate_type = fields.get("aggregateType").map(|raw| raw.get());
    if aggregate_type.is_some_and(|raw| raw.starts_with("\"$")) {
        return Ok(None);
    }
    if let Some(metadata) = fields.get("metadata") {
        let mut metadata: Fields = serde_json::from_str(metadata.get())?;
        metadata.retain(|name, _| !name.starts_with('$'));
        fields.insert(
            "metadata".into(),
            serde_json::value::to_raw_value(&metadata)?,
        );
    }
    serde_json::to_string(&fields).map(Some)
}

/// An end of line inside of JSON is white space; a lone carriage return may be left in a value.
fn one_line(json: String) -> String {
    match json.contains(['\n', '\r']) {
        true => json.replace(['\n', '\r'], " "),
        false => json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_events_or_refused_by_number() {
        let text = "{\"aggregateType\":\"A\",\"payload\":1.0e1}\n\nnonsense\n{\"position\":1,\"sequenceNumber\":1,\"persistedAt\":\"x\"}\n";
        let items: Vec<Item> = read(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(
            items[0],
            Item::Event(Event {
                line: 1,
                new: Some("{\"aggregateType\":\"A\",\"payload\":1.0e1}".into()),
                recorded: None,
            })
        );
        assert!(matches!(&items[1], Item::Refused { line: 3, .. }));
        let Item::Event(event) = &items[2] else {
            panic!("an exported line is an event");
        };
        assert_eq!((event.line, event.new.as_deref()), (4, Some("{}")));
        assert!(event.recorded.is_some());
    }

    #[test]
    fn what_only_retold_writes_is_not_appended() {
        let line = |aggregate_type: &str| {
            format!(
                r#"{{"aggregateType":"{aggregate_type}","metadata":{{"$machine":"x","actor":"a"}},"position":1,"sequenceNumber":1,"persistedAt":"x"}}"#
            )
        };
        let new = |text: String| match item(1, text.as_bytes()) {
            Item::Event(event) => event.new,
            Item::Refused { reason, .. } => panic!("{reason}"),
        };
        let wanted = r#"{"aggregateType":"Issue","metadata":{"actor":"a"}}"#;
        assert_eq!(new(line("Issue")).as_deref(), Some(wanted));
        assert_eq!(new(line("$machine")), None);
    }
}
