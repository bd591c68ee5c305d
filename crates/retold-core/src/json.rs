//! Opaque JSON: checked once, white space outside strings removed once, otherwise kept
//! byte for byte (key order, duplicate keys, escapes and the spelling of numbers stay).

use std::fmt;

use serde::de::{self, DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{Error, Text, limits};

/// Valid JSON text (RFC 8259) without insignificant white space, nested at most
/// [`limits::JSON_DEPTH_MAX`] deep. A scalar has depth 0, `[]` has depth 1.
///
/// ```
/// let json = retold_core::Json::parse(r#" { "b": 1.50, "a": [ ] } "#)?;
/// assert_eq!(json.as_str(), r#"{"b":1.50,"a":[]}"#);
/// # Ok::<(), retold_core::JsonError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Text);

/// Why a text is not a [`Json`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not valid JSON, or not valid UTF-8.
    #[error("not valid JSON: {0}")]
    Malformed(String),
    /// Nested deeper than [`limits::JSON_DEPTH_MAX`].
    #[error("nested more than {} levels deep", limits::JSON_DEPTH_MAX)]
    TooDeep,
}

impl Json {
    /// Checks `text` and removes the white space outside its strings.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Json, JsonError> {
        let text = std::str::from_utf8(text.as_ref())
            .map_err(|error| JsonError::Malformed(error.to_string()))?;
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| JsonError::Malformed(error.to_string()))?;
        compact(text).map(|text| Json(Text::from(text)))
    }

    /// Takes a value that the parser of a text around it has checked, and removes the white
    /// space outside its strings.
    pub fn from_raw(raw: &RawValue) -> Result<Json, JsonError> {
        compact(raw.get()).map(|text| Json(Text::from(text)))
    }

    /// Writes `value` as JSON.
    pub fn from_value(value: &(impl Serialize + ?Sized)) -> Result<Json, JsonError> {
        let text = serde_json::to_string(value)
            .map_err(|error| JsonError::Malformed(error.to_string()))?;
        compact(&text).map(|text| Json(Text::from(text)))
    }

    /// Takes text that was a [`Json`] before, read back from where it was kept under a
    /// checksum. It is not checked again.
    pub fn from_stored(text: Text) -> Json {
        Json(text)
    }

    /// `null`.
    pub fn null() -> Json {
        Json(Text::from_static("null"))
    }

    /// The text, without white space outside strings.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, cheap to clone.
    pub fn as_text(&self) -> &Text {
        &self.0
    }

    /// Reads the value as a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_str(&self.0).map_err(|error| JsonError::Malformed(error.to_string()))
    }
}

impl JsonError {
    /// The error of a store for a field that holds such a text.
    pub fn of(self, field: &str) -> Error {
        match self {
            JsonError::Malformed(reason) => Error::invalid(field, reason),
            JsonError::TooDeep => Error::TooLarge {
                field: field.into(),
                max: limits::JSON_DEPTH_MAX,
                actual: limits::JSON_DEPTH_MAX + 1,
            },
        }
    }
}

/// Bytes of a string behind its first quote, the last one included.
fn length_of_string(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        // What is escaped ends no string.
        at = (at + 1).min(bytes.len());
    }
    bytes.len()
}

/// Removes the white space outside strings of a text that is known to be valid JSON.
fn compact(text: &str) -> Result<String, JsonError> {
    let mut kept = String::with_capacity(text.len());
    let mut depth = 0;
    let mut kept_from = 0;
    let bytes = text.as_bytes();
    let mut next = 0;
    while let Some(byte) = bytes.get(next) {
        let at = next;
        next += 1;
        match byte {
            b'"' => next += length_of_string(&bytes[next..]),
            b'[' | b'{' => {
                depth += 1;
                if depth > limits::JSON_DEPTH_MAX {
                    return Err(JsonError::TooDeep);
                }
            }
            b']' | b'}' => depth -= 1,
            b' ' | b'\t' | b'\n' | b'\r' => {
                kept.push_str(&text[kept_from..at]);
                kept_from = at + 1;
            }
            _ => {}
        }
    }
    kept.push_str(&text[kept_from..]);
    Ok(kept)
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        compact(raw.get())
            .map(|text| Json(Text::from(text)))
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_white_space_stays() {
        let text = "\n{ \"k\" : 1e400 , \"k\":\"a b\\\" \\u0041\\ud800\",\t\"z\" :-0.0 }\r\n";
        let json = Json::parse(text).unwrap();
        assert_eq!(
            json.as_str(),
            r#"{"k":1e400,"k":"a b\" \u0041\ud800","z":-0.0}"#
        );
    }

    #[test]
    fn a_string_ends_at_its_first_quote_that_is_not_escaped() {
        for string in [
            r#""""#,
            r#""\\""#,
            r#""a\\\" b""#,
            r#""\\\\\" ""#,
            r#""é \u0022 ""#,
        ] {
            let json = Json::parse(format!("[ {string} , {string} ]")).unwrap();
            assert_eq!(json.as_str(), format!("[{string},{string}]"));
        }
    }

    #[test]
    fn depth_is_counted_in_containers() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse("1").is_ok());
        assert!(Json::parse(nested(limits::JSON_DEPTH_MAX)).is_ok());
        assert_eq!(
            Json::parse(nested(limits::JSON_DEPTH_MAX + 1)),
            Err(JsonError::TooDeep)
        );
        assert_eq!(Json::parse(nested(1_000_000)), Err(JsonError::TooDeep));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "", " ", "{", "nul", "1 2", "'a'", "{\"a\":}", "\"\n\"", "[1,]", "01",
        ] {
            assert!(
                matches!(Json::parse(text), Err(JsonError::Malformed(_))),
                "{text:?} was accepted"
            );
        }
        assert!(Json::parse([b'"', 0xff, b'"']).is_err());
    }

    proptest::proptest! {
        #[test]
        fn compacting_keeps_the_value_and_compacting_again_changes_nothing(
            keys in proptest::collection::vec(".*", 0..8),
            number in proptest::num::i64::ANY,
        ) {
            let value = serde_json::json!({ "keys": keys, "number": number });
            let json = Json::parse(serde_json::to_string_pretty(&value).unwrap()).unwrap();
            assert_eq!(json.decode::<serde_json::Value>().unwrap(), value);
            assert_eq!(Json::parse(json.as_str()).unwrap(), json);
        }
    }
}
