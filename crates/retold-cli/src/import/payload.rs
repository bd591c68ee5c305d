//! A JSON object that is written field by field, in the order of the file.

use std::collections::HashSet;

use retold::{Json, StoreError, limits};

use super::error::{LineError, shown};

/// An object under construction. It stops growing where a payload must.
pub(super) struct Object {
    text: String,
    names: HashSet<String>,
}

impl Object {
    pub(super) fn new() -> Object {
        Object {
            text: "{".to_owned(),
            names: HashSet::new(),
        }
    }

    /// Whether a field of that name was added.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Adds a field whose value is JSON already.
    ///
    /// # Errors
    /// A second field of the same name is refused, and what is too much for a payload.
    pub(super) fn add(&mut self, name: &str, json: &str) -> Result<(), LineError> {
        let bytes = self.text.len() + name.len() + json.len();
        if bytes > limits::PAYLOAD_BYTES_MAX {
            return Err(LineError::Invalid(StoreError::TooLarge {
                field: "payload".into(),
                max: limits::PAYLOAD_BYTES_MAX,
                actual: bytes,
            }));
        }
        if !self.names.insert(name.to_owned()) {
            let name = shown(name);
            return Err(LineError::malformed(format!("it has {name:?} twice")));
        }
        if self.names.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(&quoted(name));
        self.text.push(':');
        self.text.push_str(json);
        Ok(())
    }

    /// The text of the object.
    pub(super) fn into_text(mut self) -> String {
        self.text.push('}');
        self.text
    }

    /// The object as a payload.
    ///
    /// # Errors
    /// What is nested deeper than a payload may be.
    pub(super) fn into_payload(self) -> Result<Json, LineError> {
        Json::parse(self.into_text())
            .map_err(|error| StoreError::invalid("payload", error.to_string()).into())
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("any text can be written as JSON")
}
