//! What every handler shares, and the router that is made of the API and the console.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use retold::Retold;
use tokio::sync::watch;

use crate::guard;
use crate::metrics::{self, Metrics, Observed};
use crate::room::Rooms;
use crate::serve::Limits;
use crate::webhook::{WebhookOptions, Webhooks};

/// How the service behaves.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Serves any `Host` and any address; without it only loopback is served, since there are
    /// no tokens yet.
    pub insecure: bool,
    /// What clients may cost.
    pub limits: Limits,
    /// How webhooks are sent.
    pub webhooks: WebhookOptions,
}

/// What every handler shares. Clones share it.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    retold: Retold,
    options: Options,
    metrics: Metrics,
    rooms: Rooms,
    webhooks: Webhooks,
    stopping: watch::Sender<bool>,
}

impl App {
    /// Serves a store.
    pub fn new(retold: Retold, options: Options) -> App {
        App {
            inner: Arc::new(Inner {
                metrics: Metrics::new(retold.clone()),
                rooms: Rooms::new(&options.limits),
                webhooks: Webhooks::new(retold.clone(), &options.webhooks),
                stopping: watch::Sender::new(false),
                retold,
                options,
            }),
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

    /// What is counted for `/metrics`.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// What sends webhooks.
    pub(crate) fn webhooks(&self) -> &Webhooks {
        &self.inner.webhooks
    }

    /// Says when the service stops.
    pub(crate) fn stopping(&self) -> &watch::Sender<bool> {
        &self.inner.stopping
    }

    /// What a future comes to; none where the service stops before.
    pub(crate) async fn unless_stopping<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut stopping = self.inner.stopping.subscribe();
        tokio::select! {
            output = future => Some(output),
            _ = stopping.wait_for(|stopping| *stopping) => None,
        }
    }

    /// What requests hold in memory.
    pub(crate) fn rooms(&self) -> &Rooms {
        &self.inner.rooms
    }
}

/// The whole service: the API and the console.
pub fn router(app: App) -> Router {
    Router::new()
        .merge(crate::api::router())
        .merge(crate::console::router())
        .merge(metrics::router())
        .fallback(no_route)
        .method_not_allowed_fallback(crate::api::no_method)
        .layer(from_fn_with_state(app.clone(), answer))
        .with_state(app)
}

/// Counts a request, and answers it unless it is refused before anything else is looked at.
async fn answer(State(app): State<App>, request: Request, next: Next) -> Response {
    let observed = Observed::begin(app.metrics(), &request);
    let response = match guard::check(&request, app.options().insecure) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    observed.end(app.metrics(), response.status());
    response
}

/// What is answered where there is no route: a page to a person, a problem to a program.
async fn no_route(headers: HeaderMap) -> Response {
    match crate::console::wants_page(&headers) {
        true => crate::console::no_page(),
        false => crate::api::no_route().into_response(),
    }
}
