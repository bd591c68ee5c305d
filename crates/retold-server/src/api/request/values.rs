//! Values of rows in a query: a key, a filter, and where a page ended.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use retold::Value;

use crate::api::answer::Problem;

/// A JSON list of values: a key.
pub(crate) fn values_of(field: &str, text: &str) -> Result<Vec<Value>, Problem> {
    let values: Result<Vec<serde_json::Value>, _> = serde_json::from_str(text);
    let reason = "must be a list of the key's values, such as [\"Issue\",\"42\"]";
    let values = values.map_err(|_| Problem::invalid(field, reason))?;
    values
        .into_iter()
        .map(|value| value_of(field, value))
        .collect()
}

/// One such value.
pub(crate) fn value_of(field: &str, value: serde_json::Value) -> Result<Value, Problem> {
    match value {
        serde_json::Value::Null => Ok(Value::Null),
        serde_json::Value::String(text) => Ok(text.into()),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Ok(Value::Integer(number)),
            (None, Some(number)) => Ok(Value::Real(number)),
            (None, None) => Err(Problem::invalid(
                field,
                "must hold numbers that a table holds",
            )),
        },
        _ => Err(Problem::invalid(
            field,
            "must hold texts, numbers and null only",
        )),
    }
}

/// Where a page ended, as the text that `next` carries.
pub(crate) fn cursor_text(place: &[Value]) -> String {
    let values = place.iter().map(|value| match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Text(text) => (&**text).into(),
    });
    let values: Vec<serde_json::Value> = values.collect();
    URL_SAFE_NO_PAD.encode(serde_json::Value::from(values).to_string())
}

/// Where a page ended.
pub(crate) fn cursor(text: &str) -> Result<Vec<Value>, Problem> {
    let refused = || Problem::invalid("after", "must be that of a page's next");
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let json = String::from_utf8(json).map_err(|_| refused())?;
    values_of("after", &json).map_err(|_| refused())
}
