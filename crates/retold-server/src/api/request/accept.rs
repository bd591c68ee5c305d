//! The form in which a reader wants its answer.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;

use crate::api::answer::{Code, Problem};

/// A form that answers come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A page, or a single thing.
    Json,
    /// One event per line.
    Ndjson,
    /// Server-sent events.
    EventStream,
    /// A machine's file.
    Toml,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Ndjson => "application/x-ndjson",
            Form::EventStream => "text/event-stream",
            Form::Toml => "application/toml",
        }
    }
}

/// Chooses among the forms offered, the preferred one first (RFC 9110, section 12.5.1).
///
/// # Errors
/// `not_acceptable` where none of them is accepted.
pub(crate) fn accept(headers: &HeaderMap, offered: &[Form]) -> Result<Form, Problem> {
    let ranges = ranges(headers);
    let mut best: Option<(Form, f32)> = None;
    for &form in offered {
        let quality = quality(&ranges, form.media_type());
        if quality > best.map_or(0.0, |(_, quality)| quality) {
            best = Some((form, quality));
        }
    }
    best.map(|(form, _)| form).ok_or_else(|| {
        let offered: Vec<&str> = offered.iter().map(|form| form.media_type()).collect();
        let detail = format!("answer in a form that Accept names: offered are {offered:?}");
        Problem::new(Code::NotAcceptable, detail).field("Accept")
    })
}

/// A reader that accepts JSON, of what has no other form.
pub(crate) struct AsJson;

impl<S: Send + Sync> FromRequestParts<S> for AsJson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        accept(&parts.headers, &[Form::Json]).map(|_| AsJson)
    }
}

/// The media ranges that are accepted, with their quality.
fn ranges(headers: &HeaderMap) -> Vec<(String, f32)> {
    let values = headers.get_all(ACCEPT).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let parts = texts.flat_map(|text| text.split(','));
    let ranges: Vec<(String, f32)> = parts.filter_map(range).collect();
    match ranges.as_slice() {
        [] => vec![("*/*".to_owned(), 1.0)],
        _ => ranges,
    }
}

fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().filter(|media_type| !media_type.is_empty())?;
    let quality = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_quality = name.trim().eq_ignore_ascii_case("q");
        is_quality.then(|| value.trim().parse::<f32>().unwrap_or(0.0))
    });
    let quality = quality.unwrap_or(1.0).clamp(0.0, 1.0);
    Some((media_type.to_ascii_lowercase(), quality))
}

/// The quality of the most specific range that a media type falls into.
fn quality(ranges: &[(String, f32)], media_type: &str) -> f32 {
    let kind = media_type.split('/').next().unwrap_or_default();
    let whole_kind = format!("{kind}/*");
    let specific = [media_type, &whole_kind, "*/*"];
    let matching = |wanted: &str| ranges.iter().find(|(range, _)| range == wanted);
    let found = specific.into_iter().find_map(matching);
    found.map_or(0.0, |(_, quality)| *quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_of_the_highest_quality() {
        let offered = [Form::Json, Form::Ndjson, Form::EventStream];
        for (accepted, chosen) in [
            ("", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("application/*;q=0.5", Some(Form::Json)),
            ("text/event-stream", Some(Form::EventStream)),
            (
                "application/json;q=0.1, application/x-ndjson",
                Some(Form::Ndjson),
            ),
            ("application/json;q=0, */*;q=0.1", Some(Form::Ndjson)),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accepted.parse().unwrap());
            let form = accept(&headers, &offered);
            assert_eq!(form.ok(), chosen, "{accepted}");
        }
    }
}
