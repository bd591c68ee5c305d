//! The trace that a request belongs to, kept with the events that it writes.

use axum::http::HeaderMap;
use retold::{Json, Metadata};

/// The header and the metadata key of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// The trace of a request, if it names one.
#[derive(Debug, Default, Clone)]
pub(crate) struct Trace(Option<Json>);

impl Trace {
    /// The trace that the headers name. One that is malformed is passed over, as the
    /// specification asks: a broken tracer must not break a write.
    pub(crate) fn of(headers: &HeaderMap) -> Trace {
        let value = headers.get(TRACEPARENT).and_then(|v| v.to_str().ok());
        let value = value.filter(|value| is_well_formed(value));
        Trace(value.and_then(|value| Json::from_value(value).ok()))
    }

    /// What to keep, if anything.
    pub(crate) fn value(&self) -> Option<(&'static str, &Json)> {
        self.0.as_ref().map(|value| (TRACEPARENT, value))
    }

    /// Keeps it with an event, unless the event names one itself.
    pub(crate) fn note(&self, metadata: &mut Metadata) {
        if let Some((name, value)) = self.value()
            && metadata.extra(name).is_none()
        {
            metadata.extra.push((name.into(), value.clone()));
        }
    }
}

/// `version "-" trace-id "-" parent-id "-" flags`, in hexadecimal digits (W3C Trace Context 1).
fn is_well_formed(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let is_hex = |part: &&str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    lengths == [2, 32, 16, 2] && parts.iter().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::is_well_formed;

    #[test]
    fn only_the_form_of_the_specification_is_kept() {
        let well_formed = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_well_formed(well_formed));
        for malformed in ["", "00", &well_formed.to_uppercase(), &well_formed[1..]] {
            assert!(!is_well_formed(malformed), "{malformed:?} was accepted");
        }
    }
}
