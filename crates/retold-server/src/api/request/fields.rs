//! The fields of a JSON object: each at most once, none unknown, values taken as they stand.

use std::fmt;

use retold::{Json, JsonError, Text, Timestamp, limits};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::answer::{Code, Problem};

/// The fields of an object that were given and not taken yet. `path` is the name of the object
/// with a dot, empty for the whole body.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    path: &'static str,
    given: Vec<(String, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Reads a body, which must be an object.
    pub(crate) fn of_body(body: &'a str) -> Result<Fields<'a>, Problem> {
        Fields::of_element("body", body)
    }

    /// Reads an object that stands in the list `name`.
    pub(crate) fn of_element(name: &str, text: &'a str) -> Result<Fields<'a>, Problem> {
        let fields = Fields::parse("", name, text)?;
        fields.refuse_repeated()?;
        Ok(fields)
    }

    /// Reads an object that may repeat keys, in the order given.
    fn parse(path: &'static str, name: &str, text: &'a str) -> Result<Fields<'a>, Problem> {
        let pairs: Pairs<'a> = serde_json::from_str(text)
            .map_err(|error| Problem::invalid(name, malformed("an object", &error)))?;
        Ok(Fields {
            path,
            given: pairs.0,
        })
    }

    fn refuse_repeated(&self) -> Result<(), Problem> {
        let mut seen = std::collections::HashSet::new();
        match self.given.iter().find(|(name, _)| !seen.insert(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Problem::invalid(
                format!("{}{name}", self.path),
                "must be given at most once",
            )),
        }
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// A value as it stands.
    pub(crate) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.given.iter().position(|(known, _)| known == name)?;
        Some(self.given.remove(at).1)
    }

    /// A value of a type that JSON has, described for the error by `kind`.
    pub(crate) fn value<T: DeserializeOwned>(
        &mut self,
        name: &str,
        kind: &str,
    ) -> Result<Option<T>, Problem> {
        let full = self.full(name);
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| Problem::invalid(full, format!("must be {kind}")))
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<Text>, Problem> {
        let text = self.value::<String>(name, "a text")?;
        Ok(text.map(Text::from))
    }

    /// A text that must be given.
    pub(crate) fn required_text(&mut self, name: &str) -> Result<Text, Problem> {
        let text = self.text(name)?;
        text.ok_or_else(|| Problem::invalid(self.full(name), "must be given"))
    }

    /// An instant.
    pub(crate) fn timestamp(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let full = self.full(name);
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let instant = text.parse::<Timestamp>();
        instant
            .map(Some)
            .map_err(|error| Problem::invalid(full, error.to_string()))
    }

    /// Any JSON, kept as it stands.
    pub(crate) fn json(&mut self, name: &'static str) -> Result<Option<Json>, Problem> {
        let full = self.full(name);
        self.raw(name).map(|raw| opaque(&full, raw)).transpose()
    }

    /// An object whose further keys may repeat: what is not taken from it is opaque.
    pub(crate) fn object(
        &mut self,
        name: &'static str,
        path: &'static str,
    ) -> Result<Option<Fields<'a>>, Problem> {
        let full = self.full(name);
        self.raw(name)
            .map(|raw| Fields::parse(path, &full, raw.get()))
            .transpose()
    }

    /// The members of a list of at most `max`, described for the error by `kind`.
    pub(crate) fn list(
        &mut self,
        name: &str,
        kind: &str,
        max: usize,
    ) -> Result<Option<Vec<&'a RawValue>>, Problem> {
        let full = self.full(name);
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        let list: Vec<&RawValue> = serde_json::from_str(raw.get())
            .map_err(|_| Problem::invalid(&full, format!("must be a list of {kind}")))?;
        if list.len() > max {
            let detail = format!("accept {full}: {} are over the limit of {max}", list.len());
            return Err(Problem::new(Code::TooLarge, detail).field(full));
        }
        Ok(Some(list))
    }

    /// The names in an object, which stays to be taken; none where it is not given.
    pub(crate) fn object_names(&self, name: &'static str) -> Result<Vec<String>, Problem> {
        let Some((_, raw)) = self.given.iter().find(|(known, _)| known == name) else {
            return Ok(Vec::new());
        };
        let object = Fields::parse("", name, raw.get())?;
        Ok(object.rest().map(|(name, _)| name).collect())
    }

    /// Whether a field is given, and not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(known, _)| known == name)
    }

    /// What was not taken, in the order given.
    pub(crate) fn rest(self) -> impl Iterator<Item = (String, &'a RawValue)> {
        self.given.into_iter()
    }

    /// Refuses what nobody asked for.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        match self.given.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::invalid(
                self.full(name),
                "there is no such field here",
            )),
        }
    }
}

/// A value that is kept as it stands.
pub(crate) fn opaque(name: &str, raw: &RawValue) -> Result<Json, Problem> {
    Json::parse(raw.get()).map_err(|error| match error {
        JsonError::TooDeep => {
            let max = limits::JSON_DEPTH_MAX;
            let detail = format!("accept {name}: it is nested more than {max} levels deep");
            Problem::new(Code::TooLarge, detail).field(name)
        }
        error => Problem::invalid(name, error.to_string()),
    })
}

fn malformed(kind: &str, error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => format!("must be {kind}"),
        _ => format!("must be valid JSON: {error}"),
    }
}

/// The pairs of an object, in the order given.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Err(E::invalid_type(de::Unexpected::Unit, &self))
            }
        }
        deserializer.deserialize_map(PairsVisitor).map(Pairs)
    }
}
