//! The console: pages for people, rendered here.

use axum::Router;

use crate::App;

/// The routes of the console.
pub(crate) fn router() -> Router<App> {
    Router::new()
}
