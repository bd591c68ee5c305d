//! NATS JetStream: its server with a sync before each acknowledgement, asked by its own client.
//! An aggregate is a subject; its last sequence is expected. An event id is a message id, which
//! the server remembers for a while. A large append is an atomic batch (ADR-50).

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID,
};
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{self, Context as JetStream};
use async_nats::{HeaderMap, ServerAddr};
use bytes::Bytes;
use futures::StreamExt;
use session::{AGGREGATES_BOUND, Event, Log, Server, Subscriber, Target, free_port};
use uuid::Uuid;

/// Names the program `nats-server`; `cargo xtask bench peers` installs it and sets this.
pub(crate) const PROGRAM: &str = "NATS_PROGRAM";

/// Connections, each of which carries many calls at once.
const CONNECTIONS: usize = 16;

/// The stream of all events, and the first word of their subjects.
const STREAM: &str = "events";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Nats {
    server: Server,
    connections: Vec<JetStream>,
    /// Where each aggregate was appended to last, as a client that has read it knows.
    positions: Vec<AtomicU64>,
}

pub(crate) struct Message {
    aggregate: usize,
    headers: HeaderMap,
    payload: Bytes,
    is_new: bool,
}

impl Target for Nats {
    type Call = Vec<Message>;
    type Subscriber = Following;

    async fn open(folder: &Path) -> anyhow::Result<Nats> {
        let program = env::var_os(PROGRAM).with_context(|| format!("find {PROGRAM}"))?;
        let port = free_port()?;
        let config = folder.join("nats.conf");
        let store = folder.join("data");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{\n  store_dir: {store:?}\n  sync_interval: always\n}}\n"
        );
        std::fs::write(&config, text).context("configure the server")?;
        let mut command = Command::new(program);
        command.arg("--config").arg(config);
        let server = tokio::task::spawn_blocking(move || Server::start(command, port)).await??;
        let address: ServerAddr = format!("127.0.0.1:{port}").parse()?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = async_nats::connect(&address).await?;
            let mut context = jetstream::new(client);
            context.set_timeout(PATIENCE);
            connections.push(context);
        }
        let config = Config {
            name: STREAM.to_owned(),
            subjects: vec![format!("{STREAM}.>")],
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            allow_atomic_publish: true,
            ..Config::default()
        };
        connections[0].get_or_create_stream(config).await?;
        let positions = (0..AGGREGATES_BOUND).map(|_| AtomicU64::new(0));
        Ok(Nats {
            server,
            connections,
            positions: positions.collect(),
        })
    }

    async fn close(self) -> anyhow::Result<()> {
        drop(self.connections);
        tokio::task::spawn_blocking(|| self.server.stop()).await?
    }

    async fn version(&self) -> anyhow::Result<String> {
        Ok(self.connections[0].client().server_info().version.clone())
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Vec<Message>> {
        let messages = events.into_iter().map(|event| {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, event.event_id.to_string());
            headers.insert("Correlation-Id", event.correlation_id.to_string());
            headers.insert("Event-Type", Event::EVENT_TYPE);
            Message {
                aggregate: event.aggregate,
                headers,
                payload: event.payload.into(),
                is_new: event.sequence == 1,
            }
        });
        Ok(messages.collect())
    }

    async fn append(&self, appender: usize, mut call: Vec<Message>) -> anyhow::Result<()> {
        let first = call.first_mut().context("append something")?;
        let known = self.positions[first.aggregate].load(Ordering::Relaxed);
        // After the server was started again the position of an aggregate is read anew, as any
        // client would; a new aggregate has none.
        let expected = match (known, first.is_new) {
            (0, false) => self.last_of(first.aggregate).await?,
            (known, _) => known,
        };
        first
            .headers
            .insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        self.publish(appender, call).await
    }

    async fn load(&self, events: Vec<Event>) -> anyhow::Result<()> {
        self.publish(0, self.prepare(events)?).await
    }

    async fn read_stream(&self, aggregate: usize) -> anyhow::Result<Option<u64>> {
        let mut events = self.follow(subject(aggregate), DeliverPolicy::All).await?;
        let last = self.last_of(aggregate).await?;
        let mut read = 0;
        loop {
            let event = events.next().await.context("read a stream")??;
            read += 1;
            if event
                .info()
                .map_err(anyhow::Error::from_boxed)?
                .stream_sequence
                >= last
            {
                return Ok(Some(read));
            }
        }
    }

    async fn read_log(&self, log: &mut Log) -> anyhow::Result<bool> {
        let mut events = self.follow(String::new(), DeliverPolicy::All).await?;
        loop {
            events.next().await.context("read the log")??;
            if !log.goes_on(1) {
                return Ok(true);
            }
        }
    }

    async fn subscribe(&self) -> anyhow::Result<Option<Following>> {
        let events = self.follow(String::new(), DeliverPolicy::New);
        Ok(Some(Following(events.await?)))
    }

    fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.server.resident_bytes()
    }
}

impl Nats {
    async fn publish(&self, appender: usize, mut messages: Vec<Message>) -> anyhow::Result<()> {
        let connection = &self.connections[appender % CONNECTIONS];
        let aggregates: Vec<_> = messages.iter().map(|message| message.aggregate).collect();
        let mut last = messages.pop().context("append something")?;
        if !messages.is_empty() {
            let batch = Uuid::now_v7().to_string();
            let client = connection.client();
            for (nth, mut message) in (1..).zip(messages) {
                message.headers.insert(NATS_BATCH_ID, batch.as_str());
                message.headers.insert(NATS_BATCH_SEQUENCE, nth.to_string());
                let subject = subject(message.aggregate);
                client
                    .publish_with_headers(subject, message.headers, message.payload)
                    .await?;
            }
            let headers = &mut last.headers;
            headers.insert(NATS_BATCH_ID, batch);
            headers.insert(NATS_BATCH_SEQUENCE, aggregates.len().to_string());
            headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        }
        let subject = subject(last.aggregate);
        let acknowledgement = connection.publish_with_headers(subject, last.headers, last.payload);
        let PublishAck {
            sequence,
            duplicate,
            ..
        } = acknowledgement.await?.await?;
        ensure!(!duplicate, "append an event that was not there");
        for (back, aggregate) in aggregates.into_iter().rev().enumerate() {
            let position = sequence - back as u64;
            self.positions[aggregate].fetch_max(position, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn follow(&self, subject: String, from: DeliverPolicy) -> anyhow::Result<Ordered> {
        let connection = &self.connections[0];
        let config = OrderedConfig {
            deliver_subject: connection.client().new_inbox(),
            filter_subject: subject,
            deliver_policy: from,
            ..OrderedConfig::default()
        };
        let stream = connection.get_stream_no_info(STREAM).await?;
        Ok(stream.create_consumer(config).await?.messages().await?)
    }

    /// The last sequence of an aggregate's subject.
    async fn last_of(&self, aggregate: usize) -> anyhow::Result<u64> {
        let stream = self.connections[0].get_stream_no_info(STREAM).await?;
        let subject = subject(aggregate);
        let last = stream.get_last_raw_message_by_subject(&subject).await?;
        Ok(last.sequence)
    }
}

pub(crate) struct Following(Ordered);

impl Subscriber for Following {
    async fn next(&mut self) -> anyhow::Result<Vec<Uuid>> {
        let message = self.0.next().await.context("follow the log")??;
        let id = message.headers.as_ref();
        let id = id.and_then(|headers| headers.get(NATS_MESSAGE_ID));
        Ok(vec![id.context("find an event's id")?.as_str().parse()?])
    }
}

fn subject(aggregate: usize) -> String {
    format!("{STREAM}.{}.{aggregate}", Event::AGGREGATE_TYPE)
}
