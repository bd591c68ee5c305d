//! The console: pages for people, rendered here, and the stylesheet and the module that go with
//! them. Pages only read; what changes something is sent to the API by the module.

mod address;
mod answer;
mod asset;
mod event;
mod failure;
mod layout;
mod standing;
mod stream;
mod streams;
mod text;

use axum::Router;
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
        .route("/assets/{name}", get(asset::serve))
}

/// The page for an address that leads nowhere, for whoever puts the routers together.
pub(crate) async fn not_found() -> Failure {
    Failure::not_found("There is no page at this address.")
}
