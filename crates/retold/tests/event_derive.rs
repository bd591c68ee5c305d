//! `#[derive(Event)]`: what an event is written as, and read from.
#![cfg(feature = "derive")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use retold::{Event, EventKind, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Address {
    street: String,
}

/// Seconds, for a field that serde has no good form of.
mod seconds {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_secs())
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

// The enum's own form has no bearing on the payloads.
#[derive(Debug, Clone, PartialEq, Event, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum HouseEvent {
    #[event("house.built", version = "2.1.0")]
    Built {
        built_by: String,
        #[serde(rename = "where")]
        place: Address,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        floor_count: Option<u32>,
    },
    #[event("house.moved")]
    Moved(Address),
    #[event("house.painted")]
    #[serde(rename_all = "UPPERCASE")]
    Painted {
        colour: String,
        #[serde(with = "seconds")]
        #[schemars(with = "u64")]
        took: Duration,
    },
    #[event("house.sold")]
    Sold,
    #[event("house.described")]
    Described {
        #[serde(flatten)]
        address: Address,
        r#type: String,
    },
}

fn street() -> Address {
    Address {
        street: "Elm".into(),
    }
}

#[test]
fn each_form_is_written_and_read_back() {
    let built = |floor_count| HouseEvent::Built {
        built_by: "ann".into(),
        place: street(),
        floor_count,
    };
    let painted = HouseEvent::Painted {
        colour: "red".into(),
        took: Duration::from_secs(9),
    };
    let described = HouseEvent::Described {
        address: street(),
        r#type: "flat".into(),
    };
    for (event, event_type, payload) in [
        (
            built(None),
            "house.built",
            r#"{"builtBy":"ann","where":{"street":"Elm"}}"#,
        ),
        (
            built(Some(2)),
            "house.built",
            r#"{"builtBy":"ann","where":{"street":"Elm"},"floorCount":2}"#,
        ),
        (
            HouseEvent::Moved(street()),
            "house.moved",
            r#"{"street":"Elm"}"#,
        ),
        (painted, "house.painted", r#"{"COLOUR":"red","TOOK":9}"#),
        (HouseEvent::Sold, "house.sold", "{}"),
        (
            described,
            "house.described",
            r#"{"street":"Elm","type":"flat"}"#,
        ),
    ] {
        assert_eq!(event.kind().event_type, event_type);
        let written = event.clone().into_payload().unwrap();
        assert_eq!(written.as_str(), payload);
        let read = HouseEvent::from_payload(event_type, &written);
        assert_eq!(read.unwrap(), Some(event));
    }
}

#[test]
fn what_is_none_of_the_events_is_not_read() {
    let payload = Json::parse("{}").unwrap();
    // The variant's name is no name of the event.
    for event_type in ["house.burnt", "Sold", "sold"] {
        assert_eq!(HouseEvent::from_payload(event_type, &payload), Ok(None));
    }
    let error = HouseEvent::from_payload("house.moved", &payload).unwrap_err();
    assert!(error.to_string().contains("missing field `street`"));
    let null = Json::null();
    let error = HouseEvent::from_payload("house.sold", &null).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("null, expected the payload of house.sold"),
        "{error}"
    );
}

#[test]
fn the_kinds_and_their_shapes_are_known() {
    let kinds: Vec<(&str, &str)> = HouseEvent::KINDS
        .iter()
        .map(
            |&EventKind {
                 event_type,
                 version,
                 ..
             }| (event_type, version),
        )
        .collect();
    assert_eq!(
        kinds,
        [
            ("house.built", "2.1.0"),
            ("house.moved", "1.0.0"),
            ("house.painted", "1.0.0"),
            ("house.sold", "1.0.0"),
            ("house.described", "1.0.0"),
        ]
    );
    assert_eq!(HouseEvent::shapes().len(), kinds.len());
}
