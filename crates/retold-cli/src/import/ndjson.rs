//! Lines of JSON: an event on each, new or as an export wrote it.

use std::io::{BufRead, BufReader, Read};

use anyhow::Context;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

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

fn item(line: u64, bytes: &[u8]) -> Item {
    // The fields' own spelling stays; only what the store gives anew is taken out.
    let fields = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(bytes);
    let mut fields = match fields {
        Ok(fields) => fields,
        Err(error) => {
            let reason = format!("not an object in JSON: {error}");
            return Item::Refused { line, reason };
        }
    };
    let is_recorded = RECORDED.iter().all(|name| fields.contains_key(*name));
    for name in RECORDED {
        fields.remove(name);
    }
    let new = match serde_json::to_string(&fields) {
        Ok(new) => one_line(new),
        Err(error) => {
            let reason = error.to_string();
            return Item::Refused { line, reason };
        }
    };
    let recorded = is_recorded.then(|| String::from_utf8_lossy(bytes.trim_ascii()).into_owned());
    Item::Event(Event {
        line,
        new,
        recorded,
    })
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
                new: "{\"aggregateType\":\"A\",\"payload\":1.0e1}".into(),
                recorded: None,
            })
        );
        assert!(matches!(&items[1], Item::Refused { line: 3, .. }));
        let Item::Event(event) = &items[2] else {
            panic!("an exported line is an event");
        };
        assert_eq!((event.line, event.new.as_str()), (4, "{}"));
        assert!(event.recorded.is_some());
    }
}
