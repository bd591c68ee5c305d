//! The shape of one version of one event type.

use retold_core::Text;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use super::Shape;
use crate::EventVersion;

/// The shape that the payload of an event is written in, for
/// [`testing::events_lock`](crate::testing::events_lock).
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "testing"),
    expect(dead_code, reason = "read by the test of events.lock")
)]
pub struct EventShape {
    pub(crate) aggregate_type: Option<Text>,
    pub(crate) event: EventVersion,
    pub(crate) shape: Shape,
}

impl EventShape {
    /// The shape that serde writes a `T` in.
    ///
    /// ```
    /// use retold::EventShape;
    ///
    /// #[derive(serde::Serialize, schemars::JsonSchema)]
    /// struct Opened {
    ///     owner: String,
    /// }
    ///
    /// let shape = EventShape::of::<Opened>("account.opened", "1.0.0");
    /// ```
    pub fn of<T: JsonSchema + ?Sized>(
        event_type: impl Into<Text>,
        version: impl Into<Text>,
    ) -> EventShape {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<T>();
        EventShape::of_schema(event_type, version, &schema)
    }

    /// The shape that a JSON schema tells.
    pub fn of_schema(
        event_type: impl Into<Text>,
        version: impl Into<Text>,
        schema: &Schema,
    ) -> EventShape {
        EventShape {
            aggregate_type: None,
            event: EventVersion::new(event_type, version),
            shape: Shape::of(schema),
        }
    }

    /// Says of which aggregate type the event is: for types that have events of one name.
    pub fn of_aggregate(mut self, aggregate_type: impl Into<Text>) -> Self {
        self.aggregate_type = Some(aggregate_type.into());
        self
    }
}
