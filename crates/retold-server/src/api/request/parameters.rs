//! The parameters of a query: each at most once, none unknown, and the reference to the next
//! page made of the same ones.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use retold::{Text, Timestamp};

use crate::api::answer::Problem;
use crate::api::limits::{NUMBER_MAX, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, WAIT_MS_MAX};

/// What is escaped in a parameter: all but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The parameters that were given and not taken yet.
#[derive(Debug)]
pub(crate) struct Parameters {
    path: String,
    given: Vec<(String, String)>,
    is_taken: Vec<bool>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Parameters::parse(parts.uri.path(), parts.uri.query().unwrap_or_default())
    }
}

/// A query without parameters.
pub(crate) struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = Parameters::from_request_parts(parts, state).await?;
        parameters.finish().map(|()| NoParameters)
    }
}

impl Parameters {
    fn parse(path: &str, query: &str) -> Result<Parameters, Problem> {
        let mut given: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| {
                Problem::invalid("query", "the name of a parameter is not valid UTF-8")
            })?;
            let value =
                decode(value).ok_or_else(|| Problem::invalid(&name, "must be valid UTF-8"))?;
            if given.iter().any(|(known, _)| *known == name) {
                return Err(Problem::invalid(name, "must be given at most once"));
            }
            given.push((name, value));
        }
        Ok(Parameters {
            path: path.to_owned(),
            is_taken: vec![false; given.len()],
            given,
        })
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.given.iter().position(|(known, _)| known == name)?;
        self.is_taken[at] = true;
        Some(self.given[at].1.clone())
    }

    /// A text that stays to be taken.
    pub(crate) fn peek(&self, name: &str) -> Option<&str> {
        let (_, value) = self.given.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// A text that something is looked up by, which is therefore never empty.
    pub(crate) fn name(&mut self, name: &str) -> Result<Option<Text>, Problem> {
        match self.text(name) {
            Some(text) if text.is_empty() => Err(Problem::invalid(name, "must not be empty")),
            text => Ok(text.map(Text::from)),
        }
    }

    /// A whole number from 0.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u64>, Problem> {
        self.text(name)
            .map(|text| whole_number(name, &text))
            .transpose()
    }

    /// `true` or `false`; false where it is not given.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.text(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::invalid(name, "must be true or false")),
        }
    }

    /// An instant.
    pub(crate) fn timestamp(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let parse = |text: String| {
            text.parse::<Timestamp>()
                .map_err(|error| Problem::invalid(name, error.to_string()))
        };
        self.text(name).map(parse).transpose()
    }

    /// The `limit` that was given, for what has none of its own.
    pub(crate) fn limit(&mut self) -> Result<Option<u64>, Problem> {
        match self.number("limit")? {
            Some(0) => Err(Problem::invalid("limit", "must be at least 1")),
            limit => Ok(limit),
        }
    }

    /// The `limit` of a page.
    pub(crate) fn page_limit(&mut self) -> Result<usize, Problem> {
        let Some(limit) = self.limit()? else {
            return Ok(PAGE_LIMIT_DEFAULT);
        };
        match usize::try_from(limit) {
            Ok(limit) if limit <= PAGE_LIMIT_MAX => Ok(limit),
            _ => Err(Problem::invalid(
                "limit",
                format!("must be at most {PAGE_LIMIT_MAX}, not {limit}"),
            )),
        }
    }

    /// Refuses what nobody asked for.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        let mut given = self.given.iter().zip(&self.is_taken);
        match given.find(|(_, is_taken)| !**is_taken) {
            None => Ok(()),
            Some(((name, _), _)) => Err(Problem::invalid(name, "there is no such parameter here")),
        }
    }

    /// The reference to the same page with another value of one parameter.
    pub(crate) fn reference(&self, name: &str, value: &str) -> String {
        let kept = self.given.iter().filter(|(known, _)| known != name);
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs: Vec<String> = kept
            .chain(std::iter::once((name, value)))
            .map(|(name, value)| {
                let name = utf8_percent_encode(name, ESCAPED);
                format!("{name}={}", utf8_percent_encode(value, ESCAPED))
            })
            .collect();
        format!("{}?{}", self.path, pairs.join("&"))
    }
}

/// How long a client waits for what it asks for: `waitMs`.
pub(crate) fn wait_time(parameters: &mut Parameters) -> Result<Duration, Problem> {
    let wait_ms = parameters.number("waitMs")?.unwrap_or(0);
    if wait_ms > WAIT_MS_MAX {
        let reason = format!("must be at most {WAIT_MS_MAX}, not {wait_ms}");
        return Err(Problem::invalid("waitMs", reason));
    }
    Ok(Duration::from_millis(wait_ms))
}

/// Reads a whole number from 0, in digits only.
pub(crate) fn whole_number(name: &str, text: &str) -> Result<u64, Problem> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|_| is_digits);
    number
        .filter(|number| *number <= NUMBER_MAX)
        .ok_or_else(|| {
            let kind = format!("must be a whole number from 0 to {NUMBER_MAX}");
            Problem::invalid(name, kind)
        })
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let bytes: Vec<u8> = percent_decode(text.as_bytes()).collect();
    String::from_utf8(bytes).ok()
}
