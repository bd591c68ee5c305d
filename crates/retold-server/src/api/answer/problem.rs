//! A problem as RFC 9457 writes it: what every error is answered with.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use retold::EventId;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Code;
use crate::api::limits::RETRY_AFTER_S;

/// The media type of a problem.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// An error in the form of an answer. As JSON `{type, title, status, detail, code}`, and `field`,
/// `hint`, `eventIds` and what belongs to the code where they help.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// Boxed, since every result on the way has room for it.
    said: Box<Said>,
}

#[derive(Debug, Clone)]
struct Said {
    detail: String,
    field: Option<String>,
    hint: Option<String>,
    event_ids: Vec<EventId>,
    members: Vec<(&'static str, Value)>,
}

impl Problem {
    /// A problem; `detail` finishes the sentence "failed to …".
    pub(crate) fn new(code: Code, detail: impl AsRef<str>) -> Problem {
        let said = Said {
            detail: format!("failed to {}", detail.as_ref()),
            field: None,
            hint: code.hint().map(str::to_owned),
            event_ids: Vec::new(),
            members: Vec::new(),
        };
        Problem {
            code,
            said: Box::new(said),
        }
    }

    /// A value that is not as it must be, under its JSON name.
    pub(crate) fn invalid(field: impl Into<String>, reason: impl AsRef<str>) -> Problem {
        let field = field.into();
        let detail = format!("accept {field}: {}", reason.as_ref());
        Problem::new(Code::Invalid, detail).field(field)
    }

    /// A value that exceeds a limit.
    pub(crate) fn too_large(field: &str, max: usize) -> Problem {
        let detail = format!("accept {field}: it is over the limit of {max} bytes");
        Problem::new(Code::TooLarge, detail).field(field)
    }

    /// Names what is wrong, also in the sentence.
    pub(crate) fn field(mut self, field: impl Into<String>) -> Problem {
        let field = field.into();
        if !self.said.detail.contains(&field) {
            self.said.detail = format!("{} ({field})", self.said.detail);
        }
        self.said.field = Some(field);
        self
    }

    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.said.hint = Some(hint.into());
        self
    }

    /// Names the events that it is about.
    pub(crate) fn event_ids(mut self, event_ids: &[EventId]) -> Problem {
        self.said.event_ids = event_ids.to_vec();
        self
    }

    /// Adds what belongs to the code.
    pub(crate) fn member(mut self, name: &'static str, value: Value) -> Problem {
        self.said.members.push((name, value));
        self
    }

    /// What happened, as a sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.said.detail
    }

    /// What to do next.
    pub(crate) fn hint_given(&self) -> Option<&str> {
        self.said.hint.as_deref()
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format!("/docs#{}", self.code.name()))?;
        map.serialize_entry("title", self.code.title())?;
        map.serialize_entry("status", &self.code.status().as_u16())?;
        map.serialize_entry("detail", &self.said.detail)?;
        map.serialize_entry("code", self.code.name())?;
        if let Some(field) = &self.said.field {
            map.serialize_entry("field", field)?;
        }
        if let Some(hint) = &self.said.hint {
            map.serialize_entry("hint", hint)?;
        }
        if !self.said.event_ids.is_empty() {
            let ids: Vec<String> = self.said.event_ids.iter().map(EventId::to_string).collect();
            map.serialize_entry("eventIds", &ids)?;
        }
        for (name, value) in &self.said.members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if status == StatusCode::SERVICE_UNAVAILABLE && self.code.is_passing() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        response
    }
}
