//! The aggregate that a path names.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use retold::StreamId;

use crate::api::answer::Problem;

/// The stream that a path names.
#[derive(Debug)]
pub(crate) struct Target(pub(crate) StreamId);

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let aggregate_type = path_text(parts, state, "aggregateType").await?;
        let aggregate_id = path_text(parts, state, "aggregateId").await?;
        Ok(Target(StreamId::new(aggregate_type, aggregate_id)?))
    }
}

/// A part of the path as text, with its escapes resolved.
///
/// # Errors
/// A problem that names the part that is not UTF-8.
pub(crate) async fn path_text<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<String, Problem> {
    let refuse = |name: &str| Problem::invalid(name, "must be valid UTF-8");
    let given = RawPathParams::from_request_parts(parts, state).await;
    // The extractor fails as a whole, and names the part that is wrong in its text only.
    let given = given.map_err(|rejection| {
        let text = rejection.body_text();
        let names = [
            "aggregateType",
            "aggregateId",
            "eventId",
            "consumer",
            "projection",
            "table",
            "correlationId",
        ];
        let wrong = names.into_iter().find(|name| text.contains(name));
        refuse(wrong.unwrap_or(name))
    })?;
    let text = given.iter().find(|(known, _)| *known == name);
    text.map(|(_, text)| text.to_owned())
        .ok_or_else(|| refuse(name))
}

/// Makes an extractor of one part of the path, as text.
macro_rules! path_part {
    ($name:ident $part:literal $doc:literal) => {
        #[doc = $doc]
        pub(crate) struct $name(pub(crate) String);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                path_text(parts, state, $part).await.map($name)
            }
        }
    };
}

path_part!(ConsumerName "consumer" "The consumer that a path names.");
path_part!(ProjectionName "projection" "The projection that a path names.");
path_part!(CorrelationId "correlationId" "The correlation id that a path names.");
