//! The fields of a JSON object: each at most once, none unknown, values taken as they stand.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use retold::{Json, JsonError, Text, Timestamp, limits};
use serde::de::{
    self, Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::api::answer::{Code, Problem};

/// Bytes of a reason at most: a sentence or two.
const REASON_BYTES_MAX: usize = 1_024;

/// The fields of an object that were given and not taken yet. `path` is the name of the object
/// with a dot, empty for the whole body.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    path: &'static str,
    given: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Reads a body, which must be an object.
    pub(crate) fn of_body(body: &'a str) -> Result<Fields<'a>, Problem> {
        let fields = Fields::parse("", || "body".to_owned(), body)?;
        fields.refuse_repeated()?;
        Ok(fields)
    }

    /// Reads an object that may repeat keys, in the order given.
    fn parse(
        path: &'static str,
        name: impl Fn() -> String,
        text: &'a str,
    ) -> Result<Fields<'a>, Problem> {
        let pairs: Pairs<'a> = serde_json::from_str(text)
            .map_err(|error| Problem::invalid(name(), malformed("an object", &error)))?;
        Ok(Fields::of_pairs(path, pairs))
    }

    fn of_pairs(path: &'static str, pairs: Pairs<'a>) -> Fields<'a> {
        Fields {
            path,
            given: pairs.0,
        }
    }

    /// Refuses an object that gives a field twice: as one of a list may.
    pub(crate) fn refuse_repeated(&self) -> Result<(), Problem> {
        match repeated(&self.given) {
            None => Ok(()),
            Some(name) => Err(Problem::invalid(
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
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| Problem::invalid(self.full(name), format!("must be {kind}")))
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<Text>, Problem> {
        let text = self.borrowed_text(name)?;
        Ok(text.map(|text| match text {
            Cow::Borrowed(text) => Text::from(text),
            Cow::Owned(text) => Text::from(text),
        }))
    }

    /// A text, as it stands where it is spelled without escapes.
    pub(crate) fn borrowed_text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
        let Some(at) = self.given.iter().position(|(known, _)| known == name) else {
            return Ok(None);
        };
        if let Some(plain) = plain_text(self.given[at].1) {
            self.given.remove(at);
            return Ok(Some(Cow::Borrowed(plain)));
        }
        let text = self.value::<String>(name, "a text")?;
        Ok(text.map(Cow::Owned))
    }

    /// A text that must be given.
    pub(crate) fn required_text(&mut self, name: &str) -> Result<Text, Problem> {
        let text = self.text(name)?;
        text.ok_or_else(|| Problem::invalid(self.full(name), "must be given"))
    }

    /// Why somebody decides something: `reason`.
    pub(crate) fn reason(&mut self) -> Result<String, Problem> {
        let reason = self.required_text("reason")?;
        if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
            let wanted = format!("must be a text of 1 to {REASON_BYTES_MAX} bytes");
            return Err(Problem::invalid("reason", wanted));
        }
        Ok(reason.to_string())
    }

    /// An instant.
    pub(crate) fn timestamp(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let instant = text.parse::<Timestamp>();
        instant
            .map(Some)
            .map_err(|error| Problem::invalid(self.full(name), error.to_string()))
    }

    /// Any JSON, kept as it stands.
    pub(crate) fn json(&mut self, name: &'static str) -> Result<Option<Json>, Problem> {
        let raw = self.raw(name);
        raw.map(|raw| opaque(|| self.full(name), raw)).transpose()
    }

    /// An object whose further keys may repeat: what is not taken from it is opaque.
    pub(crate) fn object(
        &mut self,
        name: &'static str,
        path: &'static str,
    ) -> Result<Option<Fields<'a>>, Problem> {
        let raw = self.raw(name);
        raw.map(|raw| Fields::parse(path, || self.full(name), raw.get()))
            .transpose()
    }

    /// The objects of a list of at most `max`, described for the error by `kind`.
    pub(crate) fn list(
        &mut self,
        name: &str,
        kind: &str,
        max: usize,
    ) -> Result<Option<Vec<Fields<'a>>>, Problem> {
        let full = self.full(name);
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        let refuse = |_| Problem::invalid(&full, format!("must be a list of {kind}"));
        let check = |length: usize| match length > max {
            false => Ok(()),
            true => {
                let detail = format!("accept {full}: {length} are over the limit of {max}");
                Err(Problem::new(Code::TooLarge, detail).field(&full))
            }
        };
        // One pass where all are objects; who is not is told apart by a second one.
        let list = match serde_json::from_str::<Objects>(raw.get()) {
            Ok(objects) => {
                check(objects.length)?;
                let objects = objects.first.into_iter();
                objects.map(|pairs| Fields::of_pairs("", pairs)).collect()
            }
            Err(_) => {
                let members: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(refuse)?;
                check(members.len())?;
                let members = members.into_iter();
                let parse =
                    |member: &'a RawValue| Fields::parse("", || name.to_owned(), member.get());
                members.map(parse).collect::<Result<Vec<_>, _>>()?
            }
        };
        Ok(Some(list))
    }

    /// The names in an object, which stays to be taken; none where it is not given.
    pub(crate) fn object_names(&self, name: &'static str) -> Result<Vec<Cow<'a, str>>, Problem> {
        let Some((_, raw)) = self.given.iter().find(|(known, _)| known == name) else {
            return Ok(Vec::new());
        };
        let object = Fields::parse("", || name.to_owned(), raw.get())?;
        Ok(object.rest().map(|(name, _)| name).collect())
    }

    /// Whether a field is given, and not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(known, _)| known == name)
    }

    /// What was not taken, in the order given.
    pub(crate) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
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
pub(super) fn opaque(name: impl Fn() -> String, raw: &RawValue) -> Result<Json, Problem> {
    Json::from_raw(raw).map_err(|error| match error {
        JsonError::TooDeep => {
            let (name, max) = (name(), limits::JSON_DEPTH_MAX);
            let detail = format!("accept {name}: it is nested more than {max} levels deep");
            Problem::new(Code::TooLarge, detail).field(name)
        }
        error => Problem::invalid(name(), error.to_string()),
    })
}

fn malformed(kind: &str, error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => format!("must be {kind}"),
        _ => format!("must be valid JSON: {error}"),
    }
}

/// About how many names an object has: an event with its expectation.
const USUAL_NAMES: usize = 6;

/// Names beyond which they are compared by hashing and not one by one.
const NAMES_COMPARED: usize = 16;

/// A name that is given more than once.
fn repeated<'p>(pairs: &'p [(Cow<'_, str>, &RawValue)]) -> Option<&'p str> {
    let mut names = pairs.iter().map(|(name, _)| &**name).enumerate();
    if pairs.len() > NAMES_COMPARED {
        let mut seen = HashSet::new();
        return names.map(|(_, name)| name).find(|name| !seen.insert(*name));
    }
    let is_before = |at: usize, name: &str| pairs[..at].iter().any(|(before, _)| before == name);
    let found = names.find(|(at, name)| is_before(*at, name));
    found.map(|(_, name)| name)
}

/// The text that a value spells without escapes.
fn plain_text(raw: &RawValue) -> Option<&str> {
    let text = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

/// The pairs of an object, in the order given. Names without escapes are not copied.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Objects of a list that are kept: no list may have more.
const OBJECTS_MAX: usize = if limits::EVENTS_PER_APPEND_MAX > limits::CONDITIONS_PER_APPEND_MAX {
    limits::EVENTS_PER_APPEND_MAX
} else {
    limits::CONDITIONS_PER_APPEND_MAX
};

/// A list of objects: its length, and the first of them. A list of millions that fits a body must
/// not cost more memory than one that is accepted.
struct Objects<'a> {
    first: Vec<Pairs<'a>>,
    length: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Objects<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectsVisitor;
        impl<'de> Visitor<'de> for ObjectsVisitor {
            type Value = (Vec<Pairs<'de>>, usize);

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (mut first, mut length) = (Vec::new(), 0);
                loop {
                    let is_one = match first.len() < OBJECTS_MAX {
                        true => list
                            .next_element()?
                            .map(|object| first.push(object))
                            .is_some(),
                        false => list.next_element::<IgnoredAny>()?.is_some(),
                    };
                    if !is_one {
                        return Ok((first, length));
                    }
                    length += 1;
                }
            }
        }
        let (first, length) = deserializer.deserialize_seq(ObjectsVisitor)?;
        Ok(Objects { first, length })
    }
}

/// A name as the parser hands it on.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(name))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(name.to_owned()))
            }
        }
        deserializer.deserialize_str(NameVisitor).map(Name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(USUAL_NAMES);
                while let Some((Name(name), value)) = map.next_entry()? {
                    pairs.push((name, value));
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
