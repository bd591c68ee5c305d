//! Webhooks to a real receiver: one that is slow, refuses, hangs, is gone, comes back, and sends
//! its callers elsewhere. Signatures are checked by a public library of the specification.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::{Running, eventually, serve_with, within};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What a receiver does with a message.
#[derive(Clone, Copy)]
enum Behaviour {
    Answer(u16),
    /// Answers and says when it wants to be asked again, in seconds.
    NotBefore(u16, u64),
    /// Sends its caller to a place that is not meant for it.
    Redirect,
    /// Answers with more than anybody wants to read.
    Endless,
    /// Never answers.
    Hang,
}

struct Received {
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether a public library takes the message for one that was signed with a secret.
    fn is_signed_with(&self, secret: &str) -> bool {
        let webhook = Webhook::new(secret).unwrap();
        webhook.verify(&self.body, &self.headers).is_ok()
    }
}

/// What the receiver was sent, and what it does with the next messages; the last one stays.
#[derive(Clone)]
struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    behaviours: Arc<Mutex<VecDeque<Behaviour>>>,
    address: SocketAddr,
}

impl Receiver {
    async fn start(behaviours: &[Behaviour]) -> (Receiver, JoinHandle<()>) {
        Receiver::start_at("127.0.0.1:0".parse().unwrap(), behaviours).await
    }

    async fn start_at(address: SocketAddr, behaviours: &[Behaviour]) -> (Receiver, JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let receiver = Receiver {
            received: Arc::default(),
            behaviours: Arc::new(Mutex::new(behaviours.iter().copied().collect())),
            address: listener.local_addr().unwrap(),
        };
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        (receiver, serving)
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    fn taken(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }

    async fn until(&self, count: usize) {
        eventually("the messages", async || self.count() >= count).await;
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let received = Received { headers, body };
    receiver.received.lock().unwrap().push(received);
    let behaviour = {
        let mut behaviours = receiver.behaviours.lock().unwrap();
        match behaviours.len() {
            1 => behaviours[0],
            _ => behaviours.pop_front().unwrap(),
        }
    };
    let status = |status| StatusCode::from_u16(status).unwrap();
    match behaviour {
        Behaviour::Answer(code) => (status(code), "so it is\nsaid").into_response(),
        Behaviour::NotBefore(code, seconds) => {
            (status(code), [("retry-after", seconds.to_string())]).into_response()
        }
        Behaviour::Redirect => {
            let to = format!("http://{}/elsewhere", receiver.address);
            (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response()
        }
        Behaviour::Endless => {
            let piece = Bytes::from(vec![b'x'; 65_536]);
            let pieces = std::iter::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
            let pieces = futures::stream::iter(pieces);
            axum::body::Body::from_stream(pieces).into_response()
        }
        Behaviour::Hang => std::future::pending().await,
    }
}

/// A server that may send to this machine, with one secret, and the folder of the secrets.
async fn server(allow_private: bool) -> (Running, tempfile::TempDir) {
    let secrets = tempfile::tempdir().unwrap();
    write_secret(&secrets, SECRET);
    let folder = secrets.path().to_owned();
    let server = serve_with(move |options| {
        options.webhooks.secrets = Some(folder);
        options.webhooks.allow_private = allow_private;
    });
    (server.await, secrets)
}

fn write_secret(folder: &tempfile::TempDir, text: &str) {
    let path = folder.path().join("mail");
    let _ = std::fs::remove_file(&path);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
}

/// Makes a consumer that posts to an address, and is quick to try again.
async fn consumer(server: &Running, url: &str, more: Value) {
    let mut settings = json!({
        "retryBackoffMs": 5, "retryBackoffMaxMs": 20, "attemptsMax": 3, "leaseMs": 10_000,
        "filter": {"aggregateTypes": ["Note"]},
        "webhook": {"url": url, "secret": "mail", "timeoutMs": 5_000},
    });
    for (name, value) in more.as_object().unwrap() {
        match name.as_str() {
            "form" | "timeoutMs" => settings["webhook"][name] = value.clone(),
            _ => settings[name] = value.clone(),
        }
    }
    let body = settings.to_string();
    let headers = ["content-type: application/json"];
    let made = server.ask("PUT /v1/consumers/mailer", &headers, body.as_bytes());
    let made = made.await;
    assert!([200, 201].contains(&made.status), "{}", made.body);
}

async fn append(server: &Running, id: &str) {
    let body = json!({"eventType": "note.made", "payload": {"text": "é"}}).to_string();
    let path = format!("/v1/streams/Note/{id}/events");
    assert_eq!(server.post(&path, body.as_bytes()).await.status, 201);
}

async fn status(server: &Running) -> Value {
    server.get("/v1/consumers/mailer").await.json()
}

async fn attempts(server: &Running) -> Vec<Value> {
    let sent = server.get("/v1/consumers/mailer/webhook/deliveries").await;
    sent.json()["deliveries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn each_event_is_posted_signed_and_once() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Answer(204)]).await;
    let (server, _secrets) = server(true).await;
    append(&server, "1").await;
    consumer(&server, &receiver.url(), json!({})).await;
    append(&server, "1").await;
    append(&server, "2").await;
    receiver.until(3).await;
    let mut events = Vec::new();
    for message in receiver.taken() {
        assert!(message.is_signed_with(SECRET));
        assert!(!message.is_signed_with(NEW_SECRET));
        let event = message.json();
        assert_eq!(message.header("webhook-id"), event["metadata"]["eventId"]);
        assert_eq!(message.header("content-type"), "application/json");
        assert_eq!(message.header("retold-consumer"), "mailer");
        assert_eq!(message.header("retold-attempt"), "1");
        assert_eq!(message.header("retold-fence").len(), 19);
        events.push((
            event["aggregateId"].clone(),
            event["sequenceNumber"].clone(),
        ));
    }
    events.sort_by_key(|(id, sequence)| (id.to_string(), sequence.as_u64()));
    let wanted = [("1", 1), ("1", 2), ("2", 1)];
    assert_eq!(events, wanted.map(|(id, n)| (json!(id), json!(n))));
    eventually("the end", async || {
        status(&server).await["lag"]["events"] == 0
    })
    .await;
    assert_eq!(receiver.count(), 0, "nothing is sent twice");
    let sent = attempts(&server).await;
    assert_eq!(sent.len(), 3);
    assert_eq!(
        (&sent[0]["status"], &sent[0]["error"]),
        (&json!(204), &Value::Null)
    );
    let audit = server.get("/v1/consumers/mailer/audit").await.json();
    assert_eq!(
        (&audit["isComplete"], &audit["acknowledged"]),
        (&json!(true), &json!(3))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_cloud_event_says_what_happened_where() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Answer(200)]).await;
    let (server, _secrets) = server(true).await;
    consumer(&server, &receiver.url(), json!({"form": "cloudevents"})).await;
    append(&server, "a%20b").await;
    receiver.until(1).await;
    let message = receiver.taken().remove(0);
    assert!(message.is_signed_with(SECRET));
    let media_type = message.header("content-type");
    assert!(
        media_type.starts_with("application/cloudevents+json"),
        "{media_type}"
    );
    let event = message.json();
    for (name, value) in [
        ("specversion", "1.0"),
        ("type", "note.made"),
        ("source", "/v1/streams/Note/a%20b"),
        ("subject", "a b"),
        ("datacontenttype", "application/json"),
        ("sequence", "1"),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
    assert_eq!(event["data"], json!({"text": "é"}));
    assert_eq!(event["id"], message.header("webhook-id"));
    // Names of attributes: lower-case letters and digits only.
    let mut names = event.as_object().unwrap().keys();
    assert!(names.all(|name| {
        name.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    }));
    server.stop().await;
}

#[tokio::test]
async fn a_receiver_that_refuses_hangs_and_recovers_gets_everything_in_order() {
    let troubles = [
        Behaviour::Answer(500),
        Behaviour::Hang,
        Behaviour::Endless,
        Behaviour::NotBefore(503, 0),
        Behaviour::Answer(200),
    ];
    let (receiver, _serving) = Receiver::start(&troubles).await;
    let (server, _secrets) = server(true).await;
    append(&server, "1").await;
    append(&server, "1").await;
    let more = json!({"timeoutMs": 300, "attemptsMax": 9});
    consumer(&server, &receiver.url(), more).await;
    // The endless answer has status 200: it is taken, without being read to its end.
    receiver.until(5).await;
    eventually("the end", async || {
        status(&server).await["lag"]["events"] == 0
    })
    .await;
    let received = receiver.taken();
    let sequences: Vec<_> = received
        .iter()
        .map(|r| r.json()["sequenceNumber"].clone())
        .collect();
    assert_eq!(sequences, [1, 1, 1, 2, 2].map(|n| json!(n)));
    let tries: Vec<_> = received
        .iter()
        .map(|r| r.header("retold-attempt").to_owned())
        .collect();
    assert_eq!(tries, ["1", "2", "3", "1", "2"]);
    let ids: Vec<_> = received
        .iter()
        .map(|r| r.header("webhook-id").to_owned())
        .collect();
    assert!(
        ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3],
        "a retry keeps its id"
    );
    let fences: Vec<_> = received
        .iter()
        .map(|r| r.header("retold-fence").to_owned())
        .collect();
    assert!(fences.is_sorted() && fences[0] != fences[1], "{fences:?}");
    let mut sent = attempts(&server).await;
    sent.reverse();
    let error = |nth: usize| sent[nth]["error"].as_str().unwrap().to_owned();
    assert!(
        error(0).ends_with("it answered 500: so it is said"),
        "{}",
        error(0)
    );
    assert!(error(1).contains("within 300 ms"), "{}", error(1));
    assert_eq!(sent[1]["status"], Value::Null);
    assert_eq!(sent[2]["status"], 200);
    server.stop().await;
}

#[tokio::test]
async fn an_event_that_is_always_refused_is_parked_and_holds_up_its_stream_only() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Answer(400)]).await;
    let (server, _secrets) = server(true).await;
    append(&server, "bad").await;
    append(&server, "bad").await;
    consumer(&server, &receiver.url(), json!({})).await;
    eventually("a parked event", async || {
        status(&server).await["parkedStreams"] == 1
    })
    .await;
    assert_eq!(receiver.count(), 3);
    *receiver.behaviours.lock().unwrap() = [Behaviour::Answer(200)].into();
    append(&server, "good").await;
    receiver.until(4).await;
    assert_eq!(receiver.taken()[3].json()["aggregateId"], "good");
    let parked = server.get("/v1/consumers/mailer/parked").await.json();
    let error = parked["parked"][0]["error"].as_str().unwrap();
    assert!(error.contains("it answered 400"), "{error}");
    server.post("/v1/consumers/mailer/replay", b"{}").await;
    receiver.until(2).await;
    server.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_for_good_pauses_the_consumer() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Answer(410)]).await;
    let (server, _secrets) = server(true).await;
    append(&server, "1").await;
    append(&server, "2").await;
    let more = json!({"inFlightMax": 1, "attemptsMax": 9});
    consumer(&server, &receiver.url(), more).await;
    eventually("a pause", async || {
        status(&server).await["paused"] == "the receiver answered 410 Gone"
    })
    .await;
    assert_eq!(receiver.count(), 1, "nothing more is sent");
    *receiver.behaviours.lock().unwrap() = [Behaviour::Answer(200)].into();
    server.post("/v1/consumers/mailer/resume", b"").await;
    receiver.until(3).await;
    server.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_down_is_waited_for_and_needs_nobody() {
    let (receiver, serving) = Receiver::start(&[Behaviour::Answer(200)]).await;
    let address = receiver.address;
    serving.abort();
    let _ = serving.await;
    let (server, _secrets) = server(true).await;
    for id in ["1", "2", "3"] {
        append(&server, id).await;
    }
    let more = json!({"outageAfterS": 1, "attemptsMax": 1_000});
    consumer(&server, &receiver.url(), more).await;
    eventually("an outage", async || {
        status(&server).await["held"] == "every delivery has failed for a while"
    })
    .await;
    let error = status(&server).await["lastError"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(error.contains("connect to the receiver"), "{error}");
    let (receiver, _serving) = Receiver::start_at(address, &[Behaviour::Answer(200)]).await;
    receiver.until(3).await;
    eventually("the end", async || {
        let status = status(&server).await;
        status["waitingStreams"] == 0 && status["held"] == Value::Null
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_receiver_that_closes_without_an_answer_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (server, _secrets) = server(true).await;
    append(&server, "1").await;
    consumer(&server, &url, json!({"attemptsMax": 9})).await;
    for _ in 0..2 {
        let (stream, _) = within(listener.accept()).await.unwrap();
        drop(stream);
    }
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    // The whole message comes before the answer is written.
    let mut message = vec![0; 65_536];
    within(stream.read(&mut message)).await.unwrap();
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    within(stream.write_all(answer)).await.unwrap();
    eventually("the end", async || {
        let status = status(&server).await;
        status["acknowledged"] == 1 && status["waitingStreams"] == 0
    })
    .await;
    let sent = attempts(&server).await;
    assert_eq!(sent.len(), 3);
    let error = sent[2]["error"].as_str().unwrap();
    assert!(error.contains("get an answer from the receiver"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Redirect]).await;
    let (server, _secrets) = server(true).await;
    consumer(&server, &receiver.url(), json!({"attemptsMax": 1})).await;
    append(&server, "1").await;
    eventually("a parked event", async || {
        status(&server).await["parkedStreams"] == 1
    })
    .await;
    let error = status(&server).await["lastError"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(error.contains("redirects are not followed"), "{error}");
    assert_eq!(receiver.count(), 1);
    server.stop().await;
}

#[tokio::test]
async fn what_only_this_machine_can_reach_is_not_sent_to() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Answer(200)]).await;
    let (server, _secrets) = server(false).await;
    append(&server, "1").await;
    let by_name = format!("http://localhost:{}/", receiver.address.port());
    for url in [receiver.url(), by_name] {
        consumer(&server, &url, json!({})).await;
        let tried = server.post("/v1/consumers/mailer/webhook/test", b"").await;
        let error = tried.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("--allow-private-webhooks"), "{error}");
    }
    assert_eq!(receiver.count(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_secret_is_rotated_without_a_restart_and_is_never_told() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Answer(200)]).await;
    let (server, secrets) = server(true).await;
    consumer(&server, &receiver.url(), json!({})).await;
    write_secret(&secrets, &format!("{NEW_SECRET}\n{SECRET}\n"));
    append(&server, "1").await;
    receiver.until(1).await;
    let message = receiver.taken().remove(0);
    assert!(message.is_signed_with(SECRET) && message.is_signed_with(NEW_SECRET));
    write_secret(&secrets, NEW_SECRET);
    append(&server, "1").await;
    receiver.until(1).await;
    let message = receiver.taken().remove(0);
    assert!(message.is_signed_with(NEW_SECRET) && !message.is_signed_with(SECRET));
    for path in [
        "/v1/consumers/mailer",
        "/v1/consumers/mailer/webhook/deliveries",
        "/v1/events?includeReserved=true&limit=1000",
        "/metrics",
    ] {
        let answer = server.get(path).await;
        assert!(!answer.body.contains(&NEW_SECRET[6..]), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_receiver_is_tried_out_without_an_event_being_made() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Answer(200)]).await;
    let (server, _secrets) = server(true).await;
    consumer(&server, &receiver.url(), json!({})).await;
    let head = server.get("/v1/info").await.json()["head"].clone();
    let tried = server.post("/v1/consumers/mailer/webhook/test", b"").await;
    assert_eq!(tried.json()["isDelivered"], true);
    let message = receiver.taken().remove(0);
    assert!(message.is_signed_with(SECRET));
    assert_eq!(message.header("retold-test"), "true");
    assert_eq!(server.get("/v1/info").await.json()["head"], head);
    assert_eq!(attempts(&server).await[0]["isTest"], true);
    server.stop().await;
}

#[tokio::test]
async fn how_consumers_stand_is_measured() {
    let (receiver, _serving) = Receiver::start(&[Behaviour::Answer(400)]).await;
    let (server, _secrets) = server(true).await;
    append(&server, "1").await;
    consumer(&server, &receiver.url(), json!({"attemptsMax": 1})).await;
    let metric = async |name: &str| {
        server
            .metric(&format!("retold_consumer_{name}{{consumer=\"mailer\"}}"))
            .await
    };
    eventually("a parked event", async || {
        metric("parked_streams").await == 1
    })
    .await;
    assert_eq!(metric("waiting_streams").await, 1);
    assert_eq!(metric("failed_total").await, 1);
    assert_eq!(metric("in_flight").await, 0);
    eventually("the end", async || metric("lag_events").await == 0).await;
    server.ask("DELETE /v1/consumers/mailer", &[], b"").await;
    let all = server.get("/metrics").await;
    assert!(!all.body.contains("mailer"), "{}", all.body);
    server.stop().await;
}
