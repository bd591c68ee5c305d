//! What an append came to, written without making values of what is JSON already.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use retold::{EventRef, Position, RecordedEvent};

use super::json::{json_text, with_location, written};

/// About what the largest part of events takes as JSON.
const EVENT_BYTES: usize = 640;

/// How a client says in what form it wants an answer (RFC 7240), and how it is told that it
/// was heard.
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const MINIMAL: &str = "return=minimal";

/// What one event came to.
pub(crate) struct AppendedOne<'a> {
    pub(crate) is_new: bool,
    pub(crate) event: &'a RecordedEvent,
}

impl AppendedOne<'_> {
    /// Adds it as JSON.
    pub(crate) fn write_json(&self, json: &mut Vec<u8>) {
        begin(json, self.is_new);
        json.extend_from_slice(br#","event":"#);
        EventRef::from(self.event).write_json(json);
        json.push(b'}');
    }

    /// The answer to the request with these headers.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        let events = std::slice::from_ref(self.event);
        answer(headers, self.is_new, events, |json| self.write_json(json))
    }
}

/// What several events came to.
pub(crate) struct AppendedSeveral<'a> {
    pub(crate) is_new: bool,
    pub(crate) events: &'a [RecordedEvent],
}

impl AppendedSeveral<'_> {
    fn write_json(&self, json: &mut Vec<u8>) {
        begin(json, self.is_new);
        json.extend_from_slice(br#","events":["#);
        for (nth, event) in self.events.iter().enumerate() {
            if nth > 0 {
                json.push(b',');
            }
            EventRef::from(event).write_json(json);
        }
        json.extend_from_slice(b"]}");
    }

    /// The answer to the request with these headers.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        answer(headers, self.is_new, self.events, |json| {
            self.write_json(json);
        })
    }
}

/// Answers with everything, or with no more than is new to the client where it prefers that.
fn answer(
    headers: &HeaderMap,
    is_new: bool,
    events: &[RecordedEvent],
    write_all: impl FnOnce(&mut Vec<u8>),
) -> Response {
    let is_minimal = prefers_minimal(headers);
    let mut json = Vec::new();
    match events.last() {
        Some(last) if is_minimal => {
            write_minimal(&mut json, is_new, last.position);
        }
        _ => {
            json.reserve(events.len() * EVENT_BYTES);
            write_all(&mut json);
        }
    }
    let mut response = json_text(written(is_new), json);
    if is_minimal {
        response = applied_minimal(response);
    }
    match events.first() {
        Some(first) => with_location(response, &first.metadata.event_id),
        None => response,
    }
}

/// Adds no more than is new to the client, as JSON.
pub(crate) fn write_minimal(json: &mut Vec<u8>, is_new: bool, position: Position) {
    begin(json, is_new);
    json.extend_from_slice(format!(r#","position":{position}}}"#).as_bytes());
}

/// Tells the client that it is answered with no more.
pub(crate) fn applied_minimal(mut response: Response) -> Response {
    let applied = HeaderValue::from_static(MINIMAL);
    response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    response
}

fn begin(json: &mut Vec<u8>, is_new: bool) {
    json.extend_from_slice(br#"{"isNew":"#);
    json.extend_from_slice(if is_new { b"true" } else { b"false" });
}

/// Whether the first preference about what is returned is for little. Other preferences are
/// passed over, as the RFC asks.
pub(crate) fn prefers_minimal(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(PREFER).iter();
    let lists = lists.filter_map(|list| list.to_str().ok());
    let mut preferences = lists.flat_map(|list| list.split(','));
    let first = preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("return").then_some(value)
    });
    first.is_some_and(|value| value.eq_ignore_ascii_case("minimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_preference_about_the_answer_counts() {
        let prefers = |lists: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(PREFER, HeaderValue::from_static(list));
            }
            prefers_minimal(&headers)
        };
        assert!(prefers(&["return=minimal"]));
        assert!(prefers(&["wait=10, Return = \"minimal\"; unknown=1"]));
        assert!(prefers(&["respond-async", "return=minimal"]));
        assert!(!prefers(&[]));
        assert!(!prefers(&["return"]));
        assert!(!prefers(&["return=representation, return=minimal"]));
    }
}
