//! What a write expects of its stream: in the body, or in HTTP's own headers.

use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use retold::Expected;

use super::parameters::whole_number;
use crate::api::answer::Problem;

/// The expectation of a write. It may be said in one place only.
pub(crate) fn expectation(
    in_body: Option<Expected>,
    headers: &HeaderMap,
) -> Result<Expected, Problem> {
    let if_match = single(headers, &IF_MATCH, "If-Match")?;
    let if_none_match = single(headers, &IF_NONE_MATCH, "If-None-Match")?;
    let is_given = [
        in_body.is_some(),
        if_match.is_some(),
        if_none_match.is_some(),
    ];
    if is_given.into_iter().filter(|given| *given).count() > 1 {
        return Err(Problem::invalid(
            "expected",
            "must be said in one place only: expected, If-Match or If-None-Match",
        ));
    }
    match (if_match, if_none_match) {
        (Some("*"), _) => Ok(Expected::StreamExists),
        (Some(tag), _) => Ok(match sequence_of(tag)? {
            0 => Expected::NoStream,
            sequence => Expected::Sequence(sequence),
        }),
        (_, Some("*")) => Ok(Expected::NoStream),
        (_, Some(_)) => Err(Problem::invalid("If-None-Match", "must be *")),
        (None, None) => Ok(in_body.unwrap_or(Expected::Any)),
    }
}

/// Refuses HTTP's own expectations where a call is about several streams.
pub(crate) fn no_expectation(headers: &HeaderMap) -> Result<(), Problem> {
    let given = [(IF_MATCH, "If-Match"), (IF_NONE_MATCH, "If-None-Match")];
    match given
        .iter()
        .find(|(header, _)| headers.contains_key(header))
    {
        None => Ok(()),
        Some((_, name)) => Err(Problem::invalid(
            *name,
            "must not be given: checks say which stream they mean",
        )),
    }
}

fn single<'a>(
    headers: &'a HeaderMap,
    header: &HeaderName,
    name: &str,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(header).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(Problem::invalid(name, "must be given at most once"));
    }
    let text = |value: &'a HeaderValue| {
        let text = value.to_str().map(str::trim);
        text.map_err(|_| Problem::invalid(name, "must be a quoted sequence number or *"))
    };
    value.map(text).transpose()
}

fn sequence_of(tag: &str) -> Result<u64, Problem> {
    let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let number = quoted.map(|number| whole_number("If-Match", number));
    match number {
        Some(Ok(sequence)) => Ok(sequence),
        _ => Err(Problem::invalid(
            "If-Match",
            "must be one quoted sequence number, such as \"17\", or *",
        )),
    }
}
