//! What every handler shares, and the router that is made of the API and the console.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use retold::Retold;

/// How the service behaves.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Serves any `Host` and any address; without it only loopback is served, since there are
    /// no tokens yet.
    pub insecure: bool,
}

/// What every handler shares. Clones share it.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    retold: Retold,
    options: Options,
}

impl App {
    /// Serves a store.
    pub fn new(retold: Retold, options: Options) -> App {
        App {
            inner: Arc::new(Inner { retold, options }),
        }
    }

    /// The store.
    pub fn retold(&self) -> &Retold {
        &self.inner.retold
    }

    /// How the service behaves.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }
}

/// The whole service: the API and the console.
pub fn router(app: App) -> Router {
    Router::new()
        .merge(crate::api::router())
        .merge(crate::console::router())
        .fallback(no_route)
        .with_state(app)
}

/// What is answered where there is no route: a page to a person, else the status alone.
async fn no_route(headers: HeaderMap) -> Response {
    match crate::console::wants_page(&headers) {
        true => crate::console::no_page(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}
