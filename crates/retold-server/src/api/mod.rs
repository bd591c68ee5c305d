//! The HTTP API.

use axum::Router;

use crate::App;

/// The routes of the API.
pub(crate) fn router() -> Router<App> {
    Router::new()
}
