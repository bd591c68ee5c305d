//! One atomic append to several streams, with checks on any stream.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use retold::Appended;

use super::events::trusts;
use crate::App;
use crate::api::answer::{AppendedSeveral, Problem};
use crate::api::limits::APPEND_BODY_BYTES_MAX;
use crate::api::request::{
    Fields, Parameters, SentJson, Trace, checks, new_events, no_expectation, read, text,
};
use crate::api::schema;

/// Appends events to one stream or to several: all of them or none.
///
/// A check holds for a stream whether the call writes it or not; one that fails refuses the
/// call. With event ids a repeated call is safe: it is answered with the first result.
#[utoipa::path(
    post,
    path = "/v1/append",
    tag = "log",
    params(schema::TraceParent, schema::Prefer, schema::Trust),
    request_body(content = schema::AppendTogetherBody, content_type = "application/json"),
    responses(
        (status = 201, description = "Appended.", body = schema::AppendedTogetherBody,
            headers(("Location" = String))),
        (status = 200, description = "Appended before; the first result.",
            body = schema::AppendedTogetherBody, headers(("Location" = String))),
    ),
)]
pub(crate) async fn append_together(
    _: SentJson,
    State(app): State<App>,
    mut parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let trusts = trusts(&mut parameters)?;
    parameters.finish()?;
    let body = read(&headers, body, APPEND_BODY_BYTES_MAX).await?;
    let mut fields = Fields::of_body(text(&body)?)?;
    let events = new_events(&mut fields, None, &Trace::of(&headers))?;
    let checks = checks(&mut fields)?;
    fields.finish()?;
    no_expectation(&headers)?;
    let mut call = app.retold().append(events);
    for (stream, expected) in checks {
        call = call.expect_stream(stream, expected);
    }
    let call = match trusts {
        true => call.trust_transitions(),
        false => call,
    };
    let Appended { is_new, events } = call.await?;
    let events = events.as_slice();
    Ok(AppendedSeveral { is_new, events }.answer(&headers))
}
