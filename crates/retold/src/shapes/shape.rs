//! A shape as lines of text, each of which says one thing.

use std::fmt;

use schemars::Schema;
use serde_json::Value;

use super::canonical::canonical;

/// What a type admits as JSON, a line for each thing that is said of it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) lines: Vec<String>,
}

impl Shape {
    /// The shape that a JSON schema tells.
    pub(crate) fn of(schema: &Schema) -> Shape {
        let mut lines = Vec::new();
        write(&canonical(schema.as_value()), "", &mut lines);
        lines.sort_unstable();
        Shape { lines }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

/// One line for each value that holds no others: `properties.owner.type = "string"`.
fn write(value: &Value, path: &str, lines: &mut Vec<String>) {
    let is_container = |value: &Value| value.is_object() || value.is_array();
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                write(value, &joined(path, &quoted(name)), lines);
            }
        }
        Value::Array(values) if values.iter().any(is_container) => {
            for (nth, value) in values.iter().enumerate() {
                write(value, &joined(path, &nth.to_string()), lines);
            }
        }
        value if path.is_empty() => lines.push(value.to_string()),
        value => lines.push(format!("{path} = {value}")),
    }
}

fn joined(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// A name that cannot be taken for more than one.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    Value::from(name).to_string()
}
