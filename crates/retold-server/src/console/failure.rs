//! What went wrong, as a page. No page shows a file path or the name of a type.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;
use retold::{Error, StoreError};

use super::answer::Page;
use super::layout;

/// A failure, as it is told to a person.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    title: &'static str,
    detail: String,
}

impl Failure {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Failure {
        Failure {
            status,
            title,
            detail: detail.into(),
        }
    }

    /// Something is not there.
    pub(super) fn not_found(detail: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// An address cannot be understood.
    pub(super) fn invalid(detail: impl Into<String>) -> Failure {
        Failure::new(
            StatusCode::BAD_REQUEST,
            "That address makes no sense",
            detail,
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Store(error) => Failure::from(error),
            Error::Reducer {
                sequence_number, ..
            } => Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The state cannot be derived",
                format!("Event {sequence_number} of the stream cannot be folded in."),
            ),
            error => unexpected(&error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        match error {
            StoreError::NotFound { what } => Failure::not_found(format!("There is no {what}.")),
            StoreError::Invalid { field, reason } => Failure::invalid(format!("{field} {reason}.")),
            StoreError::Corrupt { damage, .. } => {
                tracing::error!(%damage, "failed to show a page: the log is damaged");
                let at = damage
                    .position
                    .map(|position| format!(" at position {position}"));
                Failure::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The log is damaged here",
                    format!(
                        "An event{} cannot be read back as it was written. \
                         Whoever runs this service finds more in its log.",
                        at.unwrap_or_default()
                    ),
                )
            }
            StoreError::Busy { .. } | StoreError::Poisoned { .. } => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                "The store does not answer at the moment. Try again shortly.",
            ),
            error => unexpected(&error),
        }
    }
}

/// What no page expects; the details are for the operator.
fn unexpected(error: &dyn std::error::Error) -> Failure {
    tracing::error!(%error, "failed to show a page");
    Failure::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong",
        "The page could not be made. Whoever runs this service finds the reason in its log.",
    )
}

impl From<PathRejection> for Failure {
    fn from(_: PathRejection) -> Failure {
        Failure::invalid("A part of it is not percent-encoded UTF-8.")
    }
}

impl From<QueryRejection> for Failure {
    fn from(_: QueryRejection) -> Failure {
        Failure::invalid("What follows the question mark is not a form that this page knows.")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = html! {
            div.failure {
                p.eyebrow { (self.status.as_u16()) }
                h1 { (self.title) }
                p.lead { bdi { (self.detail) } }
                p { a href="/" { "See all streams" } }
            }
        };
        Page {
            status: self.status,
            markup: layout::page(self.title, body),
        }
        .into_response()
    }
}
