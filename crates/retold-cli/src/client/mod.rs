//! How a command reaches a store: over HTTP, or through the same router in this process. One
//! kind of request and one kind of answer, whichever it is.

mod failure;
mod follow;
mod lines;
mod location;
mod path;

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST};
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use retold::Retold;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

pub(crate) use self::failure::{Failure, Kind};
pub(crate) use self::follow::follow;
pub(crate) use self::lines::Lines;
pub(crate) use self::location::{Location, Opening, holder_of_server};
pub(crate) use self::path::Path;

pub(crate) const JSON: &str = "application/json";
pub(crate) const NDJSON: &str = "application/x-ndjson";
pub(crate) const TOML: &str = "application/toml";

/// How long a server may take to accept a connection: it is near, or it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts at a write whose outcome is not known or that found the store busy. They are safe,
/// since its event ids were made before the first one.
const ATTEMPTS_MAX: u32 = 4;

/// The pause before the second attempt; each further one is twice as long.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

type Http = hyper_util::client::legacy::Client<HttpConnector, Body>;

/// A way to a store.
pub(crate) struct Client {
    place: Place,
}

enum Place {
    /// A server at an address without a slash at its end.
    Server { http: Http, url: String },
    /// A store that this process has opened.
    Here { router: Router, retold: Retold },
}

impl Client {
    /// The client of a server.
    pub(crate) fn of_server(url: &str) -> Client {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        Client {
            place: Place::Server {
                http: http.build(connector),
                url: url.trim_end_matches('/').to_owned(),
            },
        }
    }

    /// The client of a store in this process.
    pub(crate) fn of_store(retold: Retold) -> Client {
        // The rules on hosts keep web pages away from a port; here is none.
        let mut options = retold_server::Options::default();
        options.insecure = true;
        let app = retold_server::App::new(retold.clone(), options);
        Client {
            place: Place::Here {
                router: retold_server::router(app),
                retold,
            },
        }
    }

    /// Whether a server answers, which goes on when this command is done.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self.place, Place::Server { .. })
    }

    /// Sends a request and gives its answer, whose body may still be coming.
    ///
    /// # Errors
    /// A [`Failure`]: also when the answer is a problem.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> anyhow::Result<Response<Body>> {
        let answer = match &self.place {
            Place::Server { http, url } => {
                let whole = format!("{url}{}", request.uri());
                *request.uri_mut() = whole.parse().context("understand the server's address")?;
                let answer = http.request(request).await;
                answer
                    .map_err(|error| Failure::unreachable(url, &error))?
                    .map(Body::new)
            }
            Place::Here { router, .. } => {
                let headers = request.headers_mut();
                headers.insert(HOST, axum::http::HeaderValue::from_static("localhost"));
                let Ok(answer) = router.clone().oneshot(request).await;
                answer
            }
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(Failure::from_answer(answer).await.into())
    }

    /// Reads what stands at a path, in a form of its choosing.
    pub(crate) async fn read(&self, path: &str, accept: &str) -> anyhow::Result<Response<Body>> {
        let request = Request::get(path)
            .header(ACCEPT, accept)
            .body(Body::empty());
        self.send(request.context("make the request")?).await
    }

    /// Reads the machine at a path, as the file that it was made from.
    pub(crate) async fn get_toml(&self, path: &str) -> anyhow::Result<String> {
        let text = whole(self.read(path, TOML).await?).await?;
        String::from_utf8(text.into()).context("understand the server's answer")
    }

    /// Reads the JSON at a path, as it is written.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Bytes> {
        whole(self.read(path, JSON).await?).await
    }

    /// Reads the JSON at a path.
    pub(crate) async fn get_as<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        parsed(&self.get(path).await?)
    }

    /// Writes something that is safe to write again: what it makes has ids already, or is the
    /// same each time. Failures carry the event ids.
    pub(crate) async fn write(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<Bytes>,
        event_ids: &[String],
    ) -> anyhow::Result<Bytes> {
        let body = body.into();
        let mut pause = RETRY_PAUSE;
        for attempt in 1.. {
            let request = Request::builder()
                .method(method.clone())
                .uri(path)
                .header(CONTENT_TYPE, content_type)
                .header(ACCEPT, JSON)
                .body(Body::from(body.clone()))
                .context("make the request")?;
            let failed = match self.send(request).await {
                Ok(answer) => match whole(answer).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let is_worth_another = failed
                .downcast_ref::<Failure>()
                .is_some_and(Failure::is_worth_another_attempt);
            if attempt == ATTEMPTS_MAX || !is_worth_another {
                return Err(Failure::with_event_ids(failed, event_ids));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }

    /// Finishes what was begun, and gives a folder back.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        if let Place::Here { retold, .. } = self.place {
            retold.close().await.map_err(Failure::from)?;
        }
        Ok(())
    }
}

/// The whole body of an answer.
pub(crate) async fn whole(answer: Response<Body>) -> anyhow::Result<Bytes> {
    let collected = answer.into_body().collect().await;
    Ok(collected
        .map_err(|error| Failure::broken(&error))?
        .to_bytes())
}

/// An answer in the form that the interface promises.
pub(crate) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(bytes).context("understand the server's answer")
}
