//! Retold over HTTP: the program `retold serve`, asked over connections that stay open.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::env;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use session::{Event, Log, Server, Subscriber, Target, free_port};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use uuid::Uuid;

/// Names the program `retold`; `cargo xtask bench peers` builds it and sets this.
pub(crate) const PROGRAM: &str = "RETOLD_PROGRAM";

/// Where lines are posted.
const LINES: &str = "/v1/events?results=summary";

/// How long a server may take to open its log.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at whether it has.
const PAUSE: Duration = Duration::from_millis(5);

/// Connections: one for each appender there may be.
const CONNECTIONS: usize = 256;

type Connection = SendRequest<Pieces>;

pub(crate) struct Http {
    server: Server,
    address: String,
    connections: Vec<Mutex<Option<Connection>>>,
}

/// What is posted.
pub(crate) struct Call {
    path: String,
    body: Bytes,
    events: usize,
}

/// A body that lies there in pieces.
#[derive(Default)]
struct Pieces(VecDeque<Bytes>);

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Pieces {
        Pieces(VecDeque::from([piece]))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

/// What came of a bulk append.
#[derive(Deserialize)]
struct Summary {
    new: usize,
}

/// An event as a reader parses it: the payload stays text until somebody asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded<'a> {
    #[serde(borrow, rename = "payload")]
    _payload: &'a RawValue,
    metadata: Metadata<'a>,
    #[serde(rename = "sequenceNumber")]
    _sequence_number: u64,
    #[serde(rename = "position")]
    _position: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    event_id: Uuid,
    #[serde(rename = "correlationId")]
    _correlation_id: &'a str,
}

impl Target for Http {
    type Call = Call;
    type Subscriber = Following;

    async fn open(folder: &Path) -> anyhow::Result<Http> {
        let program = env::var_os(PROGRAM).with_context(|| format!("find {PROGRAM}"))?;
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(program);
        command
            .args(["serve", "--no-projections", "--listen", &address, "--store"])
            .arg(folder.join("data"))
            .env_remove("RUST_LOG");
        let server = tokio::task::spawn_blocking(move || Server::start(command, port)).await??;
        let connections = (0..CONNECTIONS).map(|_| Mutex::new(None));
        let http = Http {
            server,
            address,
            connections: connections.collect(),
        };
        // It listens before the log is open.
        let asked = Instant::now();
        while !http.is_ready().await? {
            ensure!(asked.elapsed() < PATIENCE, "wait until it is ready");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(http)
    }

    async fn close(self) -> anyhow::Result<()> {
        drop(self.connections);
        tokio::task::spawn_blocking(|| self.server.stop()).await?
    }

    async fn version(&self) -> anyhow::Result<String> {
        Ok("this checkout".to_owned())
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Call> {
        let first = events.first().context("append something")?;
        let path = format!("{}/events", stream(first.aggregate));
        let expected = first.sequence - 1;
        let body = match events.as_slice() {
            [event] => {
                let mut body = body(event)?;
                body["expected"] = expected.into();
                body
            }
            events => {
                let list: Vec<_> = events.iter().map(body).collect::<anyhow::Result<_>>()?;
                json!({"events": list, "expected": expected})
            }
        };
        let body = Bytes::from(body.to_string());
        let events = events.len();
        Ok(Call { path, body, events })
    }

    fn prepare_bulk(&self, events: Vec<Event>) -> anyhow::Result<Call> {
        Ok(Call {
            path: LINES.to_owned(),
            body: lines(&events)?,
            events: events.len(),
        })
    }

    async fn bulk(&self, appender: usize, calls: Vec<Call>) -> anyhow::Result<()> {
        let events = calls.iter().map(|call| call.events).sum();
        let pieces = calls.into_iter().map(|call| call.body);
        self.post_lines(appender, Pieces(pieces.collect()), events)
            .await
    }

    async fn append(&self, appender: usize, call: Call) -> anyhow::Result<()> {
        let media_type = "application/json";
        self.post(appender, &call.path, media_type, call.body.into())
            .await?;
        Ok(())
    }

    async fn load(&self, events: Vec<Event>) -> anyhow::Result<()> {
        self.post_lines(0, lines(&events)?.into(), events.len())
            .await
    }

    async fn read_stream(&self, aggregate: usize) -> anyhow::Result<Option<u64>> {
        let path = format!("{}/events", stream(aggregate));
        let mut lines = self.lines(&path, "application/x-ndjson").await?;
        let mut events = 0;
        while let Some(line) = lines.next().await? {
            let _: Recorded = serde_json::from_slice(&line).context("read an event")?;
            events += 1;
        }
        Ok(Some(events))
    }

    async fn read_log(&self, log: &mut Log) -> anyhow::Result<bool> {
        let mut lines = self.lines("/v1/events", "application/x-ndjson").await?;
        while let Some(line) = lines.next().await? {
            let _: Recorded = serde_json::from_slice(&line).context("read an event")?;
            if !log.goes_on(1) {
                break;
            }
        }
        Ok(true)
    }

    async fn subscribe(&self) -> anyhow::Result<Option<Following>> {
        let lines = self.lines("/v1/events?after=head", "text/event-stream");
        Ok(Some(Following(lines.await?)))
    }

    fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.server.resident_bytes()
    }
}

impl Http {
    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    async fn is_ready(&self) -> anyhow::Result<bool> {
        let mut connection = self.connect().await?;
        let request = Request::builder()
            .uri("/readyz")
            .header("host", &self.address)
            .body(Pieces::default())?;
        Ok(connection
            .send_request(request)
            .await?
            .status()
            .is_success())
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Appends lines, all of which must be new.
    async fn post_lines(
        &self,
        appender: usize,
        lines: Pieces,
        events: usize,
    ) -> anyhow::Result<()> {
        let media_type = "application/x-ndjson";
        let answer = self.post(appender, LINES, media_type, lines).await?;
        let summary: Summary = serde_json::from_slice(&answer).context("read a summary")?;
        ensure!(
            summary.new == events,
            "append lines: {} of {events} were new",
            summary.new
        );
        Ok(())
    }

    async fn post(
        &self,
        appender: usize,
        path: &str,
        media_type: &str,
        body: Pieces,
    ) -> anyhow::Result<Bytes> {
        let mut slot = self.connections[appender % CONNECTIONS].lock().await;
        // The server closes one that was idle while others were measured.
        let is_open = match &mut *slot {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !is_open {
            *slot = Some(self.connect().await?);
        }
        let connection = slot.as_mut().context("a connection was just made")?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("host", &self.address)
            .header("content-type", media_type)
            .header("prefer", "return=minimal")
            .body(body)?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        ensure!(
            status.is_success(),
            "post to {path}: {status}: {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(answer)
    }

    /// Asks for something that comes line by line, over a connection of its own.
    async fn lines(&self, path: &str, accept: &str) -> anyhow::Result<Lines> {
        let mut connection = self.connect().await?;
        let request = Request::builder()
            .uri(path)
            .header("host", &self.address)
            .header("accept", accept)
            .body(Pieces::default())?;
        let response: Response<Incoming> = connection.send_request(request).await?;
        let status = response.status();
        ensure!(status.is_success(), "get {path}: {status}");
        Ok(Lines {
            _connection: Some(connection),
            ..Lines::of(response.into_body())
        })
    }
}

/// Lines of a body that is being received.
pub(super) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// What nothing else is asked over.
    _connection: Option<Connection>,
}

impl Lines {
    pub(super) fn of(body: Incoming) -> Lines {
        Lines {
            body,
            buffer: BytesMut::new(),
            _connection: None,
        }
    }

    /// The next line without its end; none after the last.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        let mut searched = 0;
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[searched..]);
            if let Some(at) = found {
                let line = self.buffer.split_to(searched + at).freeze();
                self.buffer.advance(1);
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame.context("receive a body")?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None => return Ok(None),
            }
        }
    }
}

pub(crate) struct Following(Lines);

impl Subscriber for Following {
    async fn next(&mut self) -> anyhow::Result<Vec<Uuid>> {
        loop {
            let line = self.0.next().await?.context("follow the log")?;
            let data = line.strip_prefix(b"data:");
            let event = data.and_then(|data| serde_json::from_slice::<Recorded>(data).ok());
            if let Some(event) = event {
                return Ok(vec![event.metadata.event_id]);
            }
        }
    }
}

fn stream(aggregate: usize) -> String {
    format!("/v1/streams/{}/{aggregate}", Event::AGGREGATE_TYPE)
}

/// Events of one stream or of many, as lines.
pub(super) fn lines(events: &[Event]) -> anyhow::Result<Bytes> {
    let mut lines = String::new();
    for event in events {
        let mut line = body(event)?;
        line["aggregateType"] = Event::AGGREGATE_TYPE.into();
        line["aggregateId"] = event.aggregate_id().into();
        line["expected"] = (event.sequence - 1).into();
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    Ok(lines.into())
}

fn body(event: &Event) -> anyhow::Result<serde_json::Value> {
    let payload: serde_json::Value = serde_json::from_str(&event.payload)?;
    Ok(json!({
        "eventType": Event::EVENT_TYPE,
        "payload": payload,
        "metadata": {
            "eventId": event.event_id,
            "correlationId": event.correlation_id,
            "version": "1.0.0",
        },
    }))
}
