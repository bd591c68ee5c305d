//! Retold over HTTP, where appenders share connections: each append is a line of a bulk append
//! that goes on and on, and is answered by a line once it is durable.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use session::{Event, Target};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::http::{Http, Lines, lines};

/// Connections, as many as the clients of servers have that share them.
const CONNECTIONS: usize = 16;

/// How long nothing is appended before a bulk append is ended.
const IDLE: Duration = Duration::from_millis(200);

/// Appends that are sent in one piece.
const AT_ONCE: usize = 64;

pub(crate) struct Shared {
    http: Http,
    lanes: Vec<mpsc::UnboundedSender<Waiting>>,
}

/// An append that was not sent yet.
struct Waiting {
    line: Bytes,
    reply: Reply,
}

type Reply = oneshot::Sender<Result<(), String>>;

/// Who waits for the next lines of the answer, in their order.
type Unanswered = Arc<Mutex<VecDeque<Reply>>>;

impl Target for Shared {
    type Call = Bytes;
    type Subscriber = Infallible;

    const EVENTS_MAX: usize = 1;

    async fn open(folder: &Path) -> anyhow::Result<Shared> {
        let http = Http::open(folder).await?;
        let lanes = (0..CONNECTIONS).map(|_| {
            let (lane, waiting) = mpsc::unbounded_channel();
            tokio::spawn(work(http.address().to_owned(), waiting));
            lane
        });
        Ok(Shared {
            lanes: lanes.collect(),
            http,
        })
    }

    async fn close(self) -> anyhow::Result<()> {
        drop(self.lanes);
        self.http.close().await
    }

    async fn version(&self) -> anyhow::Result<String> {
        self.http.version().await
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Bytes> {
        lines(&events)
    }

    async fn append(&self, appender: usize, line: Bytes) -> anyhow::Result<()> {
        let (reply, answer) = oneshot::channel();
        self.lanes[appender % CONNECTIONS]
            .send(Waiting { line, reply })
            .map_err(|_| anyhow!("reach the connection"))?;
        answer.await?.map_err(|error| anyhow!(error))
    }

    async fn load(&self, events: Vec<Event>) -> anyhow::Result<()> {
        self.http.load(events).await
    }

    fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.http.resident_bytes()
    }
}

/// Sends what waits, in one bulk append after the other.
async fn work(address: String, mut waiting: mpsc::UnboundedReceiver<Waiting>) {
    let mut connection = None;
    while let Some(first) = waiting.recv().await {
        let unanswered = Unanswered::default();
        if let Err(error) =
            append(&address, &mut connection, first, &mut waiting, &unanswered).await
        {
            connection = None;
            for reply in lock(&unanswered).drain(..) {
                // Who no longer waits needs no answer.
                let _ = reply.send(Err(format!("{error:#}")));
            }
        }
    }
}

/// One bulk append, until nothing comes for a while.
async fn append(
    address: &str,
    connection: &mut Option<SendRequest<Sent>>,
    first: Waiting,
    waiting: &mut mpsc::UnboundedReceiver<Waiting>,
    unanswered: &Unanswered,
) -> anyhow::Result<()> {
    let (pieces, sent) = mpsc::channel(1);
    lock(unanswered).push_back(first.reply);
    pieces.send(first.line).await?;
    // The server closes one that was idle while others were measured.
    let is_open = match connection {
        Some(connection) => connection.ready().await.is_ok(),
        None => false,
    };
    if !is_open {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, made) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(made);
        *connection = Some(sender);
    }
    let connection = connection.as_mut().context("a connection was just made")?;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/events")
        .header("host", address)
        .header("content-type", "application/x-ndjson")
        .header("prefer", "return=minimal")
        .body(Sent(sent))?;
    let send = async move {
        let mut at_hand = Vec::with_capacity(AT_ONCE);
        while let Ok(1..) = timeout(IDLE, waiting.recv_many(&mut at_hand, AT_ONCE)).await {
            let mut piece = BytesMut::new();
            for Waiting { line, reply } in at_hand.drain(..) {
                piece.extend_from_slice(&line);
                lock(unanswered).push_back(reply);
            }
            pieces.send(piece.freeze()).await?;
        }
        anyhow::Ok(())
    };
    let receive = async {
        let response = connection.send_request(request).await?;
        let status = response.status();
        ensure!(status.is_success(), "append lines: {status}");
        let mut lines = Lines::of(response.into_body());
        while let Some(line) = lines.next().await? {
            let reply = lock(unanswered).pop_front();
            let reply = reply.context("receive no more answers than appends were sent")?;
            let answer = match serde_json::from_slice(&line) {
                Ok(Appended { is_new: true }) => Ok(()),
                _ => Err(String::from_utf8_lossy(&line).into_owned()),
            };
            // Who no longer waits needs no answer.
            let _ = reply.send(answer);
        }
        ensure!(
            lock(unanswered).is_empty(),
            "receive an answer to each append"
        );
        Ok(())
    };
    tokio::try_join!(send, receive)?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Appended {
    is_new: bool,
}

fn lock(unanswered: &Unanswered) -> std::sync::MutexGuard<'_, VecDeque<Reply>> {
    unanswered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body that comes in pieces.
struct Sent(mpsc::Receiver<Bytes>);

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
