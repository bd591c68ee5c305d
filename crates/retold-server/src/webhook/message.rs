//! A message: the event in the form that the receiver asked for, and the headers around it.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use retold::{RecordedEvent, Timestamp};
use serde::Serialize;

use super::secrets::Keys;
use super::settings::{MessageForm, WebhookSettings};

/// The media type of a CloudEvent in structured mode.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// An attempt to deliver an event.
pub(super) struct Attempt<'a> {
    pub(super) event: &'a RecordedEvent,
    /// Counted from 1.
    pub(super) number: u32,
    /// Grows with each delivery of the consumer.
    pub(super) fence: u64,
    /// Whether somebody tries the receiver out.
    pub(super) is_test: bool,
}

/// What is posted.
pub(super) struct Message {
    id: String,
    content_type: &'static str,
    /// Which consumer, attempt and fence it is.
    about: [(&'static str, String); 4],
    pub(super) body: Vec<u8>,
}

/// An event as CloudEvents 1.0 writes it, with extensions for what it has no attribute for.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: &'a str,
    subject: &'a str,
    time: Timestamp,
    datacontenttype: &'static str,
    data: &'a retold::Json,
    /// As the extension for sequences asks: a text.
    sequence: String,
    /// As the extension for partitioning asks: what must stay in order.
    partitionkey: String,
    position: String,
    correlationid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
}

impl Message {
    pub(super) fn of(consumer: &str, settings: &WebhookSettings, attempt: &Attempt<'_>) -> Message {
        let event = attempt.event;
        let metadata = &event.metadata;
        let (content_type, body) = match settings.form {
            MessageForm::Plain => ("application/json", serde_json::to_vec(event)),
            MessageForm::CloudEvents => {
                let stream = format!(
                    "/v1/streams/{}/{}",
                    event.stream.aggregate_type(),
                    percent_encoding::utf8_percent_encode(
                        event.stream.aggregate_id(),
                        percent_encoding::NON_ALPHANUMERIC
                    )
                );
                let cloud_event = CloudEvent {
                    specversion: "1.0",
                    id: metadata.event_id.to_string(),
                    r#type: &event.event_type,
                    subject: event.stream.aggregate_id(),
                    time: metadata.timestamp,
                    datacontenttype: "application/json",
                    data: &event.payload,
                    sequence: event.sequence_number.to_string(),
                    partitionkey: stream.clone(),
                    source: stream,
                    position: event.position.to_string(),
                    correlationid: &metadata.correlation_id,
                    causationid: metadata.causation_id.as_deref(),
                    actor: metadata.actor.as_deref(),
                };
                (CLOUD_EVENT, serde_json::to_vec(&cloud_event))
            }
        };
        // A trial is a message of its own: its id must not make the receiver pass over the event.
        let id = match attempt.is_test {
            true => format!("test_{}", uuid::Uuid::new_v4()),
            false => metadata.event_id.to_string(),
        };
        Message {
            id,
            content_type,
            about: [
                ("retold-consumer", consumer.to_owned()),
                ("retold-attempt", attempt.number.to_string()),
                ("retold-fence", crate::api::fence_text(attempt.fence)),
                ("retold-test", attempt.is_test.to_string()),
            ],
            body: body.expect("an event that was recorded can be written"),
        }
    }

    /// The headers, with the signatures of the Standard Webhooks specification.
    pub(super) fn headers(&self, keys: &Keys, sent_at: Timestamp) -> HeaderMap {
        let seconds = sent_at.as_micros().div_euclid(1_000_000);
        let signature = keys.sign(&self.id, seconds, &self.body);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        let mut add = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        add("webhook-id", &self.id);
        add("webhook-timestamp", &seconds.to_string());
        add("webhook-signature", &signature);
        for (name, value) in &self.about {
            add(name, value);
        }
        headers
    }
}
