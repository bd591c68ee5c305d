//! The stylesheet, the module and the icon: compiled in, addressed by content, cached for good.

use std::sync::LazyLock;

use axum::extract::{Path, RawQuery};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::answer::guarded;
use super::failure::Failure;

/// A file that pages refer to.
pub(super) struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
    digest: LazyLock<String>,
}

macro_rules! asset {
    ($name:literal, $media_type:literal) => {
        Asset {
            name: $name,
            media_type: $media_type,
            content: include_str!(concat!("assets/", $name)),
            digest: LazyLock::new(|| digest(include_str!(concat!("assets/", $name)))),
        }
    };
}

/// How every page looks.
pub(super) static STYLE: Asset = asset!("console.css", "text/css; charset=utf-8");

/// What is added to the pages where scripts run.
pub(super) static MODULE: Asset = asset!("console.js", "text/javascript; charset=utf-8");

/// The same for the pages of consumers.
pub(super) static CONSUMERS: Asset = asset!("consumers.js", "text/javascript; charset=utf-8");

/// The picture in a browser's tab.
pub(super) static ICON: Asset = asset!("icon.svg", "image/svg+xml");

fn digest(content: &str) -> String {
    /// Bytes of the digest that are used: 64 bits tell the few versions of one file apart.
    const DIGEST_BYTES: usize = 8;
    let digest = Sha256::digest(content);
    let shown = digest[..DIGEST_BYTES].iter();
    shown.map(|byte| format!("{byte:02x}")).collect()
}

impl Asset {
    /// Where it is, with its digest, so that a new version has a new address.
    pub(super) fn address(&self) -> String {
        format!("/assets/{}?v={}", self.name, *self.digest)
    }
}

/// `GET /assets/{name}`.
pub(super) async fn serve(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let mut assets = [&STYLE, &MODULE, &CONSUMERS, &ICON].into_iter();
    let Some(asset) = assets.find(|asset| asset.name == name) else {
        return Failure::not_found("There is no file at this address.").into_response();
    };
    let is_versioned = query.as_deref() == Some(&format!("v={}", *asset.digest));
    let cached = match is_versioned {
        true => "public, max-age=31536000, immutable",
        false => "public, no-cache",
    };
    let etag = format!("\"{}\"", *asset.digest);
    let is_known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag || tag == "*");
    let described = [
        (CACHE_CONTROL, cached.to_owned()),
        (ETAG, etag),
        (CONTENT_TYPE, asset.media_type.to_owned()),
    ];
    match is_known {
        true => guarded((StatusCode::NOT_MODIFIED, described)),
        false => guarded((described, asset.content)),
    }
}
