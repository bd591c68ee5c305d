//! A filter as it stands in the definition of a consumer.

use retold_core::{Filter, Text};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The parts of a filter that a definition may have; what is left out asks for everything.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Parts {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aggregate_types: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    event_types: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
}

pub(super) fn serialize<S: Serializer>(filter: &Filter, serializer: S) -> Result<S::Ok, S::Error> {
    let texts = |texts: &[Text]| texts.iter().map(|text| text.to_string()).collect();
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.to_string());
    let parts = Parts {
        aggregate_types: texts(&filter.aggregate_types),
        event_types: texts(&filter.event_types),
        tags: texts(&filter.tags),
        correlation_id: text(&filter.correlation_id),
        actor: text(&filter.actor),
    };
    parts.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
    let parts = Parts::deserialize(deserializer)?;
    let texts = |texts: Vec<String>| texts.into_iter().map(Text::from).collect();
    Ok(Filter {
        aggregate_types: texts(parts.aggregate_types),
        event_types: texts(parts.event_types),
        tags: texts(parts.tags),
        correlation_id: parts.correlation_id.map(Text::from),
        actor: parts.actor.map(Text::from),
        ..Filter::default()
    })
}

/// Texts of each part of a filter at most: each event is compared with all of them.
const TEXTS_MAX: usize = 100;

/// Checks that a filter can admit something.
pub(super) fn check(filter: &Filter) -> Result<(), retold_core::Error> {
    let refuse = |name: &str, reason: String| {
        let field = format!("filter.{name}");
        Err(retold_core::Error::invalid(&field, reason))
    };
    let one = |text: &Option<Text>| text.iter().cloned().collect::<Vec<_>>();
    for (name, texts) in [
        ("aggregateTypes", &filter.aggregate_types),
        ("eventTypes", &filter.event_types),
        ("tags", &filter.tags),
        ("correlationId", &one(&filter.correlation_id)),
        ("actor", &one(&filter.actor)),
    ] {
        if texts.iter().any(|text| text.is_empty()) {
            return refuse(name, "must not be empty".to_owned());
        }
        if texts.len() > TEXTS_MAX {
            return refuse(name, format!("must have at most {TEXTS_MAX} entries"));
        }
    }
    Ok(())
}
