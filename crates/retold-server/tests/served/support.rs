//! A server on a folder with limits of one's own, and clients that speak HTTP by hand.

use std::future::Future;
use std::time::Duration;

use retold::{Retold, RetoldBuilder};
use retold_server::{App, Limits, Options, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Far longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs.
pub(crate) struct Running {
    pub(crate) retold: Retold,
    address: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), retold::Error>>,
    _folder: tempfile::TempDir,
}

pub(crate) async fn serve(set: impl FnOnce(&mut Limits)) -> Running {
    serve_with(|options| set(&mut options.limits)).await
}

/// A server whose memory is measured: what follows the log by itself takes some too.
pub(crate) async fn serve_without_projections(set: impl FnOnce(&mut Limits)) -> Running {
    let builder = Retold::builder().builtin_machines();
    serve_built(builder, |options| set(&mut options.limits)).await
}

pub(crate) async fn serve_with(set: impl FnOnce(&mut Options)) -> Running {
    let builder = Retold::builder().builtin_machines().builtin_projections();
    serve_built(builder, set).await
}

async fn serve_built(builder: RetoldBuilder, set: impl FnOnce(&mut Options)) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let retold = builder.open(folder.path().join("data")).await.unwrap();
    let mut options = Options::default();
    set(&mut options);
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), &options)
        .await
        .unwrap();
    let address = server.url().trim_start_matches("http://").to_owned();
    let (stop, stopped) = oneshot::channel::<()>();
    let app = App::new(retold.clone(), options);
    let ended = tokio::spawn(server.run(app, async {
        let _ = stopped.await;
    }));
    Running {
        retold,
        address,
        stop,
        ended,
        _folder: folder,
    }
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// A connection on which a part of a request was sent.
    pub(crate) async fn begin(&self, request: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// The head of a request, without its last, empty line.
    pub(crate) fn head(&self, line: &str, headers: &[&str]) -> String {
        let mut head = format!("{line} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head
    }

    /// Sends a whole request and reads until the server closes.
    pub(crate) async fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let length = format!("content-length: {}", body.len());
        let mut all = vec!["connection: close", &length];
        all.extend_from_slice(headers);
        let mut stream = self.begin(&(self.head(line, &all) + "\r\n")).await;
        stream.write_all(body).await.unwrap();
        Answer::read(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Answer {
        let headers = ["content-type: application/json"];
        self.ask(&format!("POST {path}"), &headers, body).await
    }

    pub(crate) async fn append(&self, id: &str) -> u16 {
        let body = json!({"eventType": "t", "payload": 1}).to_string();
        let path = format!("/v1/streams/Note/{id}/events");
        let answer = self.post(&path, body.as_bytes()).await;
        if answer.status != 201 {
            println!("{}", answer.body);
        }
        answer.status
    }

    /// A log whose answers are longer than what the system buffers for a connection.
    pub(crate) async fn fill(&self, events: usize) {
        let payload = "x".repeat(900 * 1024);
        for _ in 0..events {
            let body = json!({"eventType": "t", "payload": payload}).to_string();
            let answer = self.post("/v1/streams/Note/large/events", body.as_bytes());
            assert_eq!(answer.await.status, 201);
        }
    }

    pub(crate) async fn head_position(&self) -> u64 {
        self.retold.store().head().await.unwrap().position
    }

    /// A number of `/metrics`; asking for it is itself a connection.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let answer = self.get("/metrics").await;
        let line = answer.body.lines().find(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(' '))
        });
        let line = line.unwrap_or_else(|| panic!("no {name} in {}", answer.body));
        let number: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        number as u64
    }

    /// Waits until no client costs anything any more.
    pub(crate) async fn forgets_its_clients(&self) {
        for (name, at_rest) in [
            ("retold_http_connections", 1),
            ("retold_http_requests_at_work", 1),
            ("retold_http_body_bytes", 0),
            ("retold_http_answer_bytes", 0),
        ] {
            eventually(name, async || self.metric(name).await <= at_rest).await;
        }
    }

    /// Stops it, and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        within(self.ended).await.unwrap().unwrap();
    }
}

/// What a client has read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads until the server closes.
    pub(crate) async fn read(stream: &mut TcpStream) -> Answer {
        let mut bytes = Vec::new();
        within(stream.read_to_end(&mut bytes)).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// Checks that it is the problem of this status and code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.json()["code"], code);
        let is_problem = self.head.contains("application/problem+json");
        assert!(is_problem, "{}", self.head);
    }
}

/// Waits for something that happens soon.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.expect("it takes too long")
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, wait).await;
    assert!(held.is_ok(), "{what} does not come about");
}
