//! The console: pages for people, rendered here, and the stylesheet and the module that go with
//! them. Pages only read; what changes something is sent to the API by the module.

mod address;
mod answer;
mod asset;
mod consumers;
mod event;
mod failure;
mod layout;
mod processes;
mod standing;
mod stream;
mod streams;
mod text;
mod traces;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::App;
use failure::Failure;

/// The routes of the console.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(streams::show))
        .route(
            "/streams/{aggregate_type}/{aggregate_id}",
            get(stream::show),
        )
        .route("/events/{event_id}", get(event::find))
        .route("/correlations/{correlation_id}", get(event::correlation))
        .route("/traces/{correlation_id}", get(traces::show))
        .route("/processes", get(processes::show_all))
        .route("/processes/{aggregate_type}", get(processes::show))
        .route(
            "/processes/{aggregate_type}/streams",
            get(processes::show_streams),
        )
        .route("/consumers", get(consumers::show_all))
        .route("/consumers/{name}", get(consumers::show))
        .route("/assets/{name}", get(asset::serve))
}

/// The page for an address that leads nowhere.
pub(crate) fn no_page() -> Response {
    Failure::not_found("There is no page at this address.").into_response()
}

/// Whether a request comes from a person: browsers name HTML in what they accept, programs do
/// not.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut texts = accepted.filter_map(|value| value.to_str().ok());
    texts.any(|text| text.contains("text/html"))
}
