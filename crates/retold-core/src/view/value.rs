//! What a field of a row holds.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::{Text, Timestamp};

/// One field of a row.
///
/// Compared like SQLite compares them: nothing, numbers, texts by their bytes.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number; finite.
    Real(f64),
    /// A text, a point in time ([`Value::from`] a [`Timestamp`]), or JSON.
    Text(Text),
}

impl Value {
    /// The number; none where it is something else.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole or not; none where it is something else.
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Value::Real(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "asked for as a float")]
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The text; none where it is something else.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Bytes it takes, roughly.
    pub fn bytes(&self) -> usize {
        size_of::<Value>() + self.as_text().map_or(0, |text| text.len())
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Integer(_) | Value::Real(_) => 1,
            Value::Text(_) => 2,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Integer(one), Value::Integer(other)) => one.cmp(other),
            (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
            (one, other) => match (one.as_real(), other.as_real()) {
                (Some(one), Some(other)) => one.total_cmp(&other),
                _ => one.rank().cmp(&other.rank()),
            },
        }
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Null => state.write_u8(0),
            Value::Integer(_) | Value::Real(_) => {
                let number = self.as_real().expect("a number");
                state.write_u64(number.to_bits());
            }
            Value::Text(text) => text.hash(state),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Integer(number) => number.fmt(f),
            Value::Real(number) => number.fmt(f),
            Value::Text(text) => text.fmt(f),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Integer(number.into())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Integer(number.into())
    }
}

/// Past the largest number that a table holds it stays that one; no position gets there.
impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// 1 or 0.
impl From<bool> for Value {
    fn from(is_so: bool) -> Value {
        Value::Integer(is_so.into())
    }
}

/// There is no -0: a table does not keep it.
impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Real(number + 0.0)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Value {
        Value::Text(text)
    }
}

impl From<&Text> for Value {
    fn from(text: &Text) -> Value {
        Value::Text(text.clone())
    }
}

/// As RFC 3339 in UTC, always with six digits behind the second, so that texts sort by time and
/// SQL functions of dates read them.
impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Value {
        Value::Text(format!("{at:.6}").into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
