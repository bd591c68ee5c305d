//! Posts a message and makes something of the answer.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use retold::consumer::Rejection;

use super::settings::WebhookSettings;
use super::target::{self, Targets};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection that nothing is sent on is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of an answer that are read at most: a receiver that sends without end costs no more.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an answer that are quoted where it says that something failed.
const QUOTED_BYTES_MAX: usize = 256;

/// The longest pause that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What posts messages.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    client: Result<Client, String>,
    targets: Targets,
}

/// What a receiver answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// The beginning of what it said where it refused.
    said: String,
    /// When it wants to be asked again.
    retry_after: Option<Duration>,
}

impl Sender {
    pub(super) fn new(allow_private: bool) -> Sender {
        let targets = Targets { allow_private };
        let provider = rustls::crypto::ring::default_provider();
        // An error says that one is installed already.
        let _ = provider.install_default();
        let client = Client::builder()
            .user_agent(concat!("Retold/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(targets)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_only()
            .build();
        Sender {
            client: client.map_err(|error| format!("prepare TLS: {}", chain(&error))),
            targets,
        }
    }

    /// Posts a message.
    ///
    /// # Errors
    /// A text that finishes the sentence "failed to …" when no answer came.
    pub(super) async fn send(
        &self,
        settings: &WebhookSettings,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answered, String> {
        // An address that is written as a number is not looked up.
        self.targets.check_host(&settings.url)?;
        let client = self.client.as_ref().map_err(String::clone)?;
        let timeout = Duration::from_millis(settings.timeout_ms);
        let post = client
            .post(settings.url.clone())
            .headers(headers)
            .body(body);
        let answered = async {
            let answer = post.send().await;
            let answer = answer
                .map_err(|error| target::refusal(&error).unwrap_or_else(|| reason(&error)))?;
            Ok(Answered::of(answer).await)
        };
        match tokio::time::timeout(timeout, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(format!(
                "get an answer from the receiver within {} ms",
                settings.timeout_ms
            )),
        }
    }
}

fn reason(error: &reqwest::Error) -> String {
    match error.is_connect() {
        true => format!("connect to the receiver: {}", chain(error)),
        false => format!("get an answer from the receiver: {}", chain(error)),
    }
}

/// The innermost reason: the outer ones repeat the address.
fn chain(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl Answered {
    async fn of(answer: Response) -> Answered {
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let said = match status.is_success() {
            // Read so that the connection can be used again.
            true => read(answer).await.map(|_| String::new()),
            false => read(answer).await.map(|said| quoted(&said)),
        };
        Answered {
            status: status.as_u16(),
            said: said.unwrap_or_default(),
            retry_after: retry_after
                .map(Duration::from_secs)
                .map(|pause| pause.min(RETRY_AFTER_MAX)),
        }
    }

    /// Whether the receiver wants nothing more.
    pub(super) fn is_gone(&self) -> bool {
        self.status == StatusCode::GONE.as_u16()
    }

    /// Whether the event is delivered.
    pub(crate) fn verdict(&self) -> Result<(), Rejection> {
        let error = match self.status {
            200..=299 => return Ok(()),
            300..=399 => format!(
                "deliver to the receiver: it answered {} and redirects are not followed; name \
                 the address that it moved to",
                self.status
            ),
            status if self.said.is_empty() => {
                format!("deliver to the receiver: it answered {status}")
            }
            status => format!(
                "deliver to the receiver: it answered {status}: {}",
                self.said
            ),
        };
        Err(Rejection {
            error: error.into(),
            delay: self.retry_after,
        })
    }
}

/// Reads an answer, or as much of it as is allowed; none where it breaks off.
async fn read(mut answer: Response) -> Option<Vec<u8>> {
    let mut said = Vec::new();
    while said.len() < ANSWER_BYTES_MAX {
        match answer.chunk().await.ok()? {
            Some(chunk) => said.extend_from_slice(&chunk),
            None => break,
        }
    }
    Some(said)
}

/// The beginning of what was said, on one line.
fn quoted(said: &[u8]) -> String {
    let beginning = String::from_utf8_lossy(&said[..said.len().min(QUOTED_BYTES_MAX)]);
    let words = beginning.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
