//! What every handler shares, and the router that is made of the API and the console.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use retold::Retold;

use crate::guard::guard;

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
        .fallback(crate::api::no_route)
        .method_not_allowed_fallback(crate::api::no_method)
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}
