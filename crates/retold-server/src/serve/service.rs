//! What every request passes before it reaches the router, and every answer behind it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{body, ending, room};
use crate::App;

/// Answers the requests of a connection. Clones share everything.
#[derive(Clone)]
pub(super) struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    app: App,
    router: Router,
    /// Becomes true when the server stops.
    stopping: watch::Receiver<bool>,
}

impl Service {
    pub(super) fn new(app: App, stopping: watch::Receiver<bool>) -> Service {
        let router = crate::router(app.clone());
        Service {
            inner: Arc::new(Inner {
                app,
                router,
                stopping,
            }),
        }
    }
}

impl Inner {
    async fn answer(&self, request: Request) -> Response {
        let patience = self.app.options().limits.body_stall;
        let request = body::receive(request, patience);
        let (request, of_body) = match room::hold_body(&self.app, request).await {
            Ok(held) => held,
            Err(busy) => return busy,
        };
        let Ok(response) = self.router.clone().oneshot(request).await;
        let response = ending::end_live_stream(response, &self.stopping);
        let response = room::hold_answer(&self.app, response).await;
        // The body's room is given back once there is room for the answer.
        drop(of_body);
        response
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { Ok(inner.answer(request.map(Body::new)).await) })
    }
}
