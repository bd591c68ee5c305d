//! Paths of the interface. Ids may hold anything, so every part is escaped.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::arguments::Stream;

/// What RFC 3986 lets stand anywhere stays; the rest is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path with its query.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    text: String,
    has_query: bool,
}

impl Path {
    /// A path below `/v1/`.
    pub(crate) fn new(parts: &[&str]) -> Path {
        let mut text = "/v1".to_owned();
        for part in parts {
            text.push('/');
            text.extend(utf8_percent_encode(part, ESCAPED));
        }
        Path {
            text,
            has_query: false,
        }
    }

    /// A path below a stream.
    pub(crate) fn of_stream(stream: &Stream, parts: &[&str]) -> Path {
        let mut all = vec!["streams", &stream.aggregate_type, &stream.aggregate_id];
        all.extend(parts);
        Path::new(&all)
    }

    /// The same with a parameter.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Path {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        self.text.push_str(name);
        self.text.push('=');
        let value = value.to_string();
        self.text.extend(utf8_percent_encode(&value, ESCAPED));
        self
    }

    /// The same with a parameter, where there is a value.
    pub(crate) fn with_some(self, name: &str, value: Option<impl Display>) -> Path {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// As it is sent.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What a page's `next` refers to from here.
    pub(crate) fn next(&self, reference: &str) -> Path {
        let path = self.text.split('?').next().unwrap_or_default();
        let text = match reference.find("/v1/") {
            Some(at) => reference[at..].to_owned(),
            None => format!("{path}{reference}"),
        };
        Path {
            has_query: text.contains('?'),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_escaped() {
        let stream: Stream = "Issue/a/b?%é".parse().unwrap();
        let path = Path::of_stream(&stream, &["events"]).with("eventType", "a&b");
        let wanted = "/v1/streams/Issue/a%2Fb%3F%25%C3%A9/events?eventType=a%26b";
        assert_eq!(path.as_str(), wanted);
    }

    #[test]
    fn a_next_page_is_found_however_it_is_referred_to() {
        let path = Path::new(&["events"]).with("limit", 2);
        for reference in [
            "?after=2",
            "/v1/events?after=2",
            "http://host/v1/events?after=2",
        ] {
            assert_eq!(path.next(reference).as_str(), "/v1/events?after=2");
        }
    }
}
