//! The text of `events.lock`: a heading for each version of each event type, and below it its
//! shape, a line for each thing that is said of it. Sorted, so that a change is a small one.

use std::collections::BTreeMap;

use retold_core::Text;
use serde_json::Value;

use crate::EventVersion;
use crate::shapes::Shape;

/// The aggregate type where one was said, and the version of the event type.
pub(super) type Name = (Option<Text>, EventVersion);

/// The shapes that were written.
pub(super) type Locked = BTreeMap<Name, Shape>;

const HEAD: &str = "\
# The shapes that events were written in. A test compares them with the code; what was written
# once is read for ever. `UPDATE_EVENTS_LOCK=1 cargo test` accepts a change that is meant.
";

const INDENT: &str = "  ";

/// Between the version and the aggregate type of a heading.
const OF: &str = "of";

pub(super) fn write(locked: &Locked) -> String {
    let mut text = HEAD.to_owned();
    for (name, shape) in locked {
        text.push('\n');
        text.push_str(&heading(name));
        text.push('\n');
        for line in &shape.lines {
            text.push_str(INDENT);
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// How a version of an event type is named in the file and in what is said about it.
pub(super) fn heading((aggregate_type, event): &Name) -> String {
    let event_type = quoted(&event.event_type);
    let version = quoted(&event.version);
    match aggregate_type {
        None => format!("{event_type} {version}"),
        Some(of) => format!("{event_type} {version} {OF} {}", quoted(of)),
    }
}

/// A word as it is, where it cannot be taken for more than one; else as a JSON text.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && c != '"';
    if word.chars().all(is_plain) && !word.starts_with('#') {
        return word.to_owned();
    }
    Value::from(word).to_string()
}

pub(super) fn parse(text: &str) -> Result<Locked, String> {
    let mut locked = Locked::new();
    let mut current: Option<(Name, Shape)> = None;
    for (nth, line) in text.lines().enumerate() {
        if let Some(of_shape) = line.strip_prefix(INDENT) {
            let Some((_, shape)) = &mut current else {
                return Err(format!("line {} stands under no event", nth + 1));
            };
            shape.lines.push(of_shape.to_owned());
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            locked.extend(current.take());
            let name = parse_heading(line).ok_or_else(|| {
                format!("line {} names no event type and version: {line}", nth + 1)
            })?;
            current = Some((name, Shape { lines: Vec::new() }));
        }
    }
    locked.extend(current);
    Ok(locked)
}

fn parse_heading(line: &str) -> Option<Name> {
    let mut rest = line.trim();
    let mut words: Vec<String> = Vec::new();
    while !rest.is_empty() {
        if rest.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            words.push(values.next()?.ok()?);
            rest = rest[values.byte_offset()..].trim_start();
        } else {
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            words.push(word.to_owned());
            rest = after.trim_start();
        }
    }
    match words.as_slice() {
        [event_type, version] => Some((
            None,
            EventVersion::new(event_type.as_str(), version.as_str()),
        )),
        [event_type, version, of, aggregate_type] if of == OF => {
            let event = EventVersion::new(event_type.as_str(), version.as_str());
            Some((Some(Text::from(aggregate_type.as_str())), event))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let shape = |lines: &[&str]| Shape {
            lines: lines.iter().map(ToString::to_string).collect(),
        };
        let name = |of: Option<&'static str>, event_type: &'static str, version: &'static str| {
            (
                of.map(Text::from_static),
                EventVersion::new(event_type, version),
            )
        };
        let locked = Locked::from([
            (
                name(None, "account.opened", "1.0.0"),
                shape(&["a = 1", "type = \"object\""]),
            ),
            (name(None, "account opened", "a \"b\""), shape(&[])),
            (name(None, "#", "of"), shape(&["true"])),
            (
                name(Some("Account"), "opened", "1.0.0"),
                shape(&["  x = \" y\""]),
            ),
        ]);
        let text = write(&locked);
        assert_eq!(parse(&text), Ok(locked.clone()), "{text}");
        assert_eq!(parse(&text.replace('\n', "\r\n")), Ok(locked));
        assert!(parse("one").is_err() && parse("  a = 1").is_err() && parse("\"a b").is_err());
    }
}
