//! What went wrong, as a person and a script are told: a sentence, a hint, the event ids, and
//! an exit code.

use std::fmt;

use axum::body::Body;
use axum::http::Response;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

/// Bytes of a problem that are read: a machine's transitions and a thousand event ids fit.
const PROBLEM_BYTES_MAX: usize = 256 * 1024;

/// What to do about damage.
const DAMAGE_HINT: &str = "retold verify says where the damage is, retold recover what can be done";

/// What kind of failure it is; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed,
    Usage,
    Conflict,
    NotFound,
    Damage,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Conflict => 3,
            Kind::NotFound => 4,
            Kind::Damage => 5,
        }
    }
}

/// A failure. Its message finishes the sentence "failed to …".
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// The stable code of the interface, where it answered.
    code: Option<String>,
    message: String,
    pub(crate) hint: Option<String>,
    pub(crate) event_ids: Vec<String>,
    /// What the interface answered, as it was.
    problem: Option<Value>,
    /// Whether the request may not have been answered at all.
    pub(crate) is_broken: bool,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            code: None,
            message: message.into(),
            hint: None,
            event_ids: Vec::new(),
            problem: None,
            is_broken: false,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The server was not reached, or went away before it answered.
    pub(super) fn unreachable(url: &str, error: &dyn std::error::Error) -> Failure {
        let mut reasons = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            reasons.push(error.to_string());
            cause = error.source();
        }
        let mut failure = Failure::new(
            Kind::Failed,
            format!("get an answer from {url}: {}", reasons.join(": ")),
        );
        failure.is_broken = true;
        failure.hint(format!(
            "is a server running? retold serve; curl {url}/readyz"
        ))
    }

    /// The answer ended before its end.
    pub(super) fn broken(error: &dyn fmt::Display) -> Failure {
        let mut failure = Failure::new(Kind::Failed, format!("read the whole answer: {error}"));
        failure.is_broken = true;
        failure
    }

    /// A problem that the interface answered with (RFC 9457).
    pub(super) async fn from_answer(answer: Response<Body>) -> Failure {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), PROBLEM_BYTES_MAX)
            .collect()
            .await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let problem: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Failure::from_problem(problem, status.as_u16())
    }

    /// A problem that the interface named.
    pub(crate) fn from_problem(problem: Value, status: u16) -> Failure {
        let text = |name: &str| problem[name].as_str().map(str::to_owned);
        let code = text("code");
        let kind = match (status, code.as_deref()) {
            (_, Some("corrupt")) => Kind::Damage,
            (400, _) => Kind::Usage,
            (404, _) => Kind::NotFound,
            (409 | 412, _) => Kind::Conflict,
            _ => Kind::Failed,
        };
        let message = text("detail").or_else(|| text("title"));
        let message = message.unwrap_or_else(|| format!("get an answer: the status is {status}"));
        let message = message.trim_start_matches("failed to ");
        let hint = match kind {
            Kind::Damage => Some(DAMAGE_HINT.into()),
            Kind::NotFound => text("hint").or_else(|| hint_of_missing(message)),
            _ => text("hint"),
        };
        let ids = problem["eventIds"].as_array();
        Failure {
            kind,
            code,
            message: message.to_owned(),
            hint,
            event_ids: ids
                .into_iter()
                .flatten()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect(),
            problem: Some(problem).filter(Value::is_object),
            is_broken: false,
        }
    }

    /// Whether the same request may fare better: the store was busy, or nobody knows.
    pub(super) fn is_worth_another_attempt(&self) -> bool {
        self.is_broken || matches!(self.code.as_deref(), Some("busy" | "unknown_outcome"))
    }

    /// Whether the service refused what was asked for, rather than being unable to do it.
    pub(crate) fn is_refusal(&self) -> bool {
        let status = self
            .problem
            .as_ref()
            .and_then(|problem| problem["status"].as_u64());
        status.is_some_and(|status| (400..500).contains(&status))
    }

    /// Whether an error says that there is no such thing.
    pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
        let failure = error.downcast_ref::<Failure>();
        failure.is_some_and(|failure| failure.kind == Kind::NotFound)
    }

    /// Names the events that a failed write was about.
    pub(crate) fn with_event_ids(error: anyhow::Error, event_ids: &[String]) -> anyhow::Error {
        let mut failure = match error.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(other) => Failure::new(Kind::Failed, format!("{other:#}")),
        };
        if failure.event_ids.is_empty() {
            failure.event_ids = event_ids.to_vec();
        }
        failure.into()
    }

    /// The failure as JSON: the problem as it was answered, or one like it.
    pub(crate) fn to_json(&self) -> Value {
        let mut problem = self.problem.clone().unwrap_or_else(|| {
            let code = match self.kind {
                Kind::Failed => "failed",
                Kind::Usage => "invalid",
                Kind::Conflict => "conflict",
                Kind::NotFound => "not_found",
                Kind::Damage => "corrupt",
            };
            json!({"code": code, "detail": format!("failed to {}", self.message)})
        });
        if let Some(hint) = &self.hint {
            problem["hint"] = json!(hint);
        }
        if !self.event_ids.is_empty() {
            problem["eventIds"] = json!(self.event_ids);
        }
        problem
    }
}

/// What to look at when something is not there.
fn hint_of_missing(message: &str) -> Option<String> {
    let hint = match message.split(' ').nth(1)? {
        "stream" => "retold streams lists those that are there; type and id are case-sensitive",
        "event" => "retold events lists those that are there",
        _ => return None,
    };
    Some(hint.into())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<retold::Error> for Failure {
    fn from(error: retold::Error) -> Failure {
        use retold::{Error, StoreError};
        let kind = match &error {
            Error::IllegalTransition(_) => Kind::Conflict,
            Error::UnknownMachine { .. } => Kind::NotFound,
            Error::Store(error) => match error {
                StoreError::Conflict { .. } | StoreError::IdentityConflict { .. } => Kind::Conflict,
                StoreError::NotFound { .. } => Kind::NotFound,
                StoreError::Corrupt { .. } => Kind::Damage,
                _ => Kind::Failed,
            },
            _ => Kind::Failed,
        };
        let mut failure = Failure::new(kind, error.to_string());
        failure.hint = (kind == Kind::Damage).then(|| DAMAGE_HINT.into());
        failure.event_ids = error.event_ids().iter().map(ToString::to_string).collect();
        failure
    }
}
