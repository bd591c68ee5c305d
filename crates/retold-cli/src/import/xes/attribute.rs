//! The typed attributes of XES, as JSON.
//!
//! | XES | JSON |
//! |---|---|
//! | `string`, `date`, `id` | a text, as it is written |
//! | `int`, `float` | a number; the text `NaN`, `INF` or `-INF` where there is no number for it |
//! | `boolean` | `true`, `false` |
//! | `list` | an array of objects with one field each, since keys may repeat |
//! | `container` | an object |
//! | one with attributes of its own | `{"value": …, "attributes": {…}}` |

use super::xml::{Element, Token, Xml};
use crate::import::error::{Cause, LineError, shown};
use crate::import::limits::LINE_BYTES_MAX;
use crate::import::payload::{Object, quoted};

/// One attribute.
pub(super) struct Attribute {
    /// Its key.
    pub(super) key: String,
    /// Its value as JSON.
    pub(super) json: String,
    /// Its value as it is written; none of a list or a container.
    pub(super) text: Option<String>,
}

/// The attributes of an event, of a trace or of a global.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) attributes: Vec<Attribute>,
    /// The first thing that is wrong with them; what came after it is not kept.
    pub(super) fault: Option<LineError>,
    /// Bytes that they take in memory so far, about.
    bytes: usize,
}

impl Attributes {
    /// Reads all attributes of the element opened last, up to its end.
    pub(super) fn read(xml: &mut Xml) -> Result<Attributes, Cause> {
        let mut read = Attributes::default();
        while let Token::Open(element) = xml.next()? {
            read.add(xml, element)?;
        }
        Ok(read)
    }

    /// Reads one attribute, up to its end.
    pub(super) fn add(&mut self, xml: &mut Xml, element: Element) -> Result<(), Cause> {
        if let Some(attribute) = self.attribute(xml, element)? {
            self.attributes.push(attribute);
        }
        Ok(())
    }

    /// The value of an attribute as it is written.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|found| found.key == key)?;
        found.text.as_deref()
    }

    fn fail(&mut self, line: u64, reason: &str) {
        let reason = format!("in line {line}, {reason}");
        self.fault.get_or_insert(LineError::malformed(reason));
    }

    /// Reads an attribute with all that is in it. None where something was wrong before or is
    /// with it; it is read to its end nevertheless.
    fn attribute(&mut self, xml: &mut Xml, element: Element) -> Result<Option<Attribute>, Cause> {
        let mut children = Vec::new();
        let mut items = None;
        while let Token::Open(child) = xml.next()? {
            if element.name == "list" && child.name == "values" {
                let values: &mut Vec<Attribute> = items.get_or_insert_default();
                while let Token::Open(value) = xml.next()? {
                    values.extend(self.attribute(xml, value)?);
                }
            } else {
                children.extend(self.attribute(xml, child)?);
            }
        }
        if self.fault.is_some() {
            return Ok(None);
        }
        let line = element.line;
        match self.built(element, children, items) {
            Ok(attribute) => {
                // The fixed part counts as well: eight million empty attributes are not small.
                self.bytes += size_of::<Attribute>() + attribute.key.len() + attribute.json.len();
                if self.bytes > LINE_BYTES_MAX {
                    self.fault = Some(LineError::TooLong);
                }
                Ok(Some(attribute))
            }
            Err(reason) => {
                self.fail(line, &reason);
                Ok(None)
            }
        }
    }

    fn built(
        &self,
        element: Element,
        children: Vec<Attribute>,
        items: Option<Vec<Attribute>>,
    ) -> Result<Attribute, String> {
        if let Some(fault) = element.fault {
            return Err(fault);
        }
        let name = element.name.as_str();
        let key = element.key.ok_or(format!("<{name}> has no key"))?;
        let (json, children) = match (name, items) {
            ("container", _) => {
                return Ok(Attribute {
                    key,
                    json: object(children)?,
                    text: None,
                });
            }
            ("list", Some(items)) => (array(items), children),
            // Before 2016 the values of a list stood in it directly.
            ("list", None) => (array(children), Vec::new()),
            _ => {
                let value = element.value.as_deref();
                let value = value.ok_or(format!("{:?} has no value", shown(&key)))?;
                let json = scalar(name, value).ok_or_else(|| {
                    format!(
                        "{:?} is not of type {name}: {:?}",
                        shown(&key),
                        shown(value)
                    )
                })?;
                (json, children)
            }
        };
        let json = match children.is_empty() {
            true => json,
            false => format!("{{\"value\":{json},\"attributes\":{}}}", object(children)?),
        };
        let text = element.value.filter(|_| name != "list");
        Ok(Attribute { key, json, text })
    }
}

fn object(attributes: Vec<Attribute>) -> Result<String, String> {
    let mut object = Object::new();
    for attribute in attributes {
        let added = object.add(&attribute.key, &attribute.json);
        added.map_err(|error| error.to_string())?;
    }
    Ok(object.into_text())
}

fn array(items: Vec<Attribute>) -> String {
    let items = items
        .iter()
        .map(|item| format!("{{{}:{}}}", quoted(&item.key), item.json));
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// A single value as JSON; none where it is not of its type, or the type is not one of XES.
fn scalar(kind: &str, value: &str) -> Option<String> {
    match kind {
        "string" | "date" | "id" => Some(quoted(value)),
        "int" => value.trim().parse::<i64>().ok().map(|int| int.to_string()),
        "float" => {
            let value = value.trim();
            let float: f64 = value.parse().ok()?;
            Some(match float {
                float if float.is_nan() => quoted("NaN"),
                float if float.is_infinite() && !value.to_ascii_lowercase().contains("inf") => {
                    // A number too large for the type is none of it.
                    return None;
                }
                f64::INFINITY => quoted("INF"),
                f64::NEG_INFINITY => quoted("-INF"),
                // The spelling is kept where JSON has it, so that no digit is lost.
                _ if serde_json::from_str::<f64>(value).is_ok() => value.to_owned(),
                float => float.to_string(),
            })
        }
        "boolean" => match value.trim() {
            "true" | "1" => Some("true".to_owned()),
            "false" | "0" => Some("false".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn each_type_has_its_form_in_json() {
        for (kind, value, json) in [
            ("string", "a\"b\n", r#""a\"b\n""#),
            (
                "date",
                "2012-10-09T14:50:17+02:00",
                r#""2012-10-09T14:50:17+02:00""#,
            ),
            ("id", "x", "\"x\""),
            ("int", "+007", "7"),
            ("int", "-9223372036854775808", "-9223372036854775808"),
            ("float", "1.50", "1.50"),
            ("float", "1E5", "1E5"),
            ("float", ".5", "0.5"),
            ("float", "+1.", "1"),
            ("float", "NaN", "\"NaN\""),
            ("float", "INF", "\"INF\""),
            ("float", "-INF", "\"-INF\""),
            ("boolean", "true", "true"),
            ("boolean", "0", "false"),
        ] {
            assert_eq!(scalar(kind, value).as_deref(), Some(json), "{kind} {value}");
        }
        for (kind, value) in [
            ("int", "1.5"),
            ("int", ""),
            ("int", "9223372036854775808"),
            ("float", "1,5"),
            ("float", "1e999"),
            ("boolean", "yes"),
            ("enum", "x"),
        ] {
            assert_eq!(scalar(kind, value), None, "{kind} {value}");
        }
    }
}
