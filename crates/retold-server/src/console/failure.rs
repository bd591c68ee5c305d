//! What went wrong, as a page: the API's problem in the form that a person reads. Which error
//! has which status, and what of it is told, is decided in one place for both.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use maud::html;
use retold::{Error, StoreError};

use super::answer::Page;
use super::layout;
use crate::api::{Code, Problem};

/// A failure, as it is told to a person.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    detail: String,
    hint: Option<String>,
}

impl Failure {
    /// Something is not there.
    pub(super) fn not_found(detail: impl Into<String>) -> Failure {
        Failure {
            code: Code::NotFound,
            detail: detail.into(),
            hint: None,
        }
    }

    /// An address cannot be understood.
    pub(super) fn invalid(detail: impl Into<String>) -> Failure {
        Failure {
            code: Code::Invalid,
            detail: detail.into(),
            hint: None,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure {
            code: problem.code,
            detail: sentence(problem.detail()),
            hint: problem.hint_given().map(sentence),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Problem::from(error).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Problem::from(error).into()
    }
}

/// Errors begin small and have no full stop, so that they fit into other sentences.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).chain(['.']).collect()
}

impl From<PathRejection> for Failure {
    fn from(_: PathRejection) -> Failure {
        Failure::invalid("A part of the address is not percent-encoded UTF-8.")
    }
}

impl From<QueryRejection> for Failure {
    fn from(_: QueryRejection) -> Failure {
        Failure::invalid("What follows the question mark is not a form that this page knows.")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, title) = (self.code.status(), self.code.title());
        let body = html! {
            div.failure {
                p.eyebrow { (status.as_u16()) }
                h1 { (title) }
                p.lead { bdi { (self.detail) } }
                @if let Some(hint) = &self.hint { p { (hint) } }
                p { a href="/" { "See all streams" } }
            }
        };
        Page {
            status,
            markup: layout::page(title, body),
        }
        .into_response()
    }
}
