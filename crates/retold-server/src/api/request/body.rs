//! Reading a body: its media type, its size, and what happens to one that is too large.

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::time::timeout;

use super::Fields;
use crate::api::answer::{Code, Problem};
use crate::api::limits::{BODY_TIME_MAX, SMALL_BODY_BYTES_MAX};

/// The media type that a body must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`
    Json,
    /// `application/x-ndjson`
    Ndjson,
    /// `application/toml`
    Toml,
}

impl Media {
    fn name(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::Ndjson => "application/x-ndjson",
            Media::Toml => "application/toml",
        }
    }
}

/// Checks the media type before anything else of a request: the first argument of a handler.
macro_rules! sent_as {
    ($name:ident $media:ident $doc:literal) => {
        #[doc = $doc]
        pub(crate) struct $name;

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                check_media(&parts.headers, Media::$media).map(|()| $name)
            }
        }
    };
}

sent_as!(SentJson Json "A body of JSON.");
sent_as!(SentNdjson Ndjson "A body of lines, each of them JSON.");
sent_as!(SentToml Toml "A body of TOML.");

/// Checks the media type of a body; parameters such as `charset` are allowed.
///
/// # Errors
/// `unsupported_media_type`.
pub(crate) fn check_media(headers: &HeaderMap, wanted: Media) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.and_then(|given| given.to_str().ok());
    let given = given.map(|given| given.split(';').next().unwrap_or_default().trim());
    if given.is_some_and(|given| given.eq_ignore_ascii_case(wanted.name())) {
        return Ok(());
    }
    let given = given.unwrap_or("none");
    let detail = format!(
        "accept a Content-Type of {given}: it must be {}",
        wanted.name()
    );
    Err(Problem::new(Code::UnsupportedMediaType, detail).field("Content-Type"))
}

/// A JSON body that is not large, read as a whole. Whether it is JSON at all is asked before
/// anything else, by [`SentJson`].
pub(crate) struct SmallBody(Bytes);

impl<S: Send + Sync> FromRequest<S> for SmallBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read(&parts.headers, body, SMALL_BODY_BYTES_MAX).await?;
        Ok(SmallBody(body))
    }
}

impl SmallBody {
    /// Its fields.
    pub(crate) fn fields(&self) -> Result<Fields<'_>, Problem> {
        Fields::of_body(text(&self.0)?)
    }
}

/// Reads a whole body.
///
/// # Errors
/// `too_large`; `invalid` where it breaks off or takes too long.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > bytes_max as u64) {
        return Err(Problem::too_large("body", bytes_max));
    }
    let slow = |_| Problem::invalid("body", "it took too long to send");
    let whole = read_whole(body, bytes_max);
    timeout(BODY_TIME_MAX, whole).await.map_err(slow)?
}

async fn read_whole(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut pieces = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(piece) = next_piece(&mut pieces).await? {
        if whole.len() + piece.len() > bytes_max {
            return Err(Problem::too_large("body", bytes_max));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next piece of a body; none at its end.
///
/// # Errors
/// A problem where the client stops sending. The server ends a body that stands still.
pub(crate) async fn next_piece(pieces: &mut BodyDataStream) -> Result<Option<Bytes>, Problem> {
    let piece = pieces.next().await.transpose();
    piece.map_err(|_| {
        let reason = "it broke off, or nothing more of it came for too long";
        Problem::invalid("body", reason)
    })
}

/// A body as text.
pub(crate) fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|_| Problem::invalid("body", "must be valid UTF-8"))
}
