//! UmaDB: its server, asked over gRPC. An aggregate is a tag; that nothing was appended to it
//! since is a condition. An event id makes a repeated append with that condition safe.

mod client;
mod messages;

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use session::{AGGREGATES_BOUND, Event, Log, Server, Subscriber, Target, free_port};
use tonic::Streaming;
use uuid::Uuid;

use self::client::Client;
use self::messages::{
    AppendCondition, AppendRequest, Events, MetadataEntry, Query, QueryItem, ReadRequest,
    SubscribeRequest,
};

/// Names the program `umadb`; `cargo xtask bench peers` installs it and sets this.
pub(crate) const PROGRAM: &str = "UMADB_PROGRAM";

/// Connections, each of which carries many calls at once.
const CONNECTIONS: usize = 16;

pub(crate) struct UmaDb {
    server: Server,
    clients: Vec<Client>,
    /// Up to where each aggregate was looked at, as a client that has read it knows.
    positions: Vec<AtomicU64>,
}

pub(crate) struct Call {
    aggregates: Vec<usize>,
    request: AppendRequest,
}

impl Target for UmaDb {
    type Call = Call;
    type Subscriber = Following;

    async fn open(folder: &Path) -> anyhow::Result<UmaDb> {
        let program = env::var_os(PROGRAM).with_context(|| format!("find {PROGRAM}"))?;
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(program);
        command
            .args(["--listen", &address, "--db-path"])
            .arg(folder.join("uma.db"));
        let server = tokio::task::spawn_blocking(move || Server::start(command, port)).await??;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Client::connect(&address).await?);
        }
        let head = clients[0].head().await?.unwrap_or(0);
        let positions = (0..AGGREGATES_BOUND).map(|_| AtomicU64::new(head));
        Ok(UmaDb {
            server,
            clients,
            positions: positions.collect(),
        })
    }

    async fn close(self) -> anyhow::Result<()> {
        drop(self.clients);
        tokio::task::spawn_blocking(|| self.server.stop()).await?
    }

    async fn version(&self) -> anyhow::Result<String> {
        let mut ask = Command::new(env::var_os(PROGRAM).context("find the program")?);
        let answer = ask.arg("--version").output().context("ask for a version")?;
        let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
        let version = answer.split_whitespace().last();
        Ok(version.context("read a version")?.to_owned())
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Call> {
        let aggregates = events.iter().map(|event| event.aggregate).collect();
        let events = events.into_iter().map(|event| messages::Event {
            event_type: Event::EVENT_TYPE.to_owned(),
            tags: vec![tag(event.aggregate)],
            data: event.payload.into_bytes(),
            uuid: event.event_id.to_string(),
            metadata: vec![MetadataEntry {
                key: "correlationId".to_owned(),
                value: event.correlation_id.to_string(),
            }],
        });
        let request = AppendRequest {
            events: events.collect(),
            condition: None,
        };
        Ok(Call {
            aggregates,
            request,
        })
    }

    async fn append(&self, appender: usize, mut call: Call) -> anyhow::Result<()> {
        let aggregate = *call.aggregates.first().context("append something")?;
        let after = self.positions[aggregate].load(Ordering::Relaxed);
        call.request.condition = Some(AppendCondition {
            fail_if_events_match: Some(query(aggregate)),
            after: Some(after),
        });
        self.send(appender, call).await
    }

    async fn load(&self, events: Vec<Event>) -> anyhow::Result<()> {
        self.send(0, self.prepare(events)?).await
    }

    async fn read_stream(&self, aggregate: usize) -> anyhow::Result<Option<u64>> {
        let query = Some(query(aggregate));
        let mut batches = self.clients[0].read(ReadRequest { query }).await?;
        let mut read = 0;
        while let Some(batch) = batches.message().await? {
            read += batch.events.len() as u64;
        }
        Ok(Some(read))
    }

    async fn read_log(&self, log: &mut Log) -> anyhow::Result<bool> {
        let mut batches = self.clients[0].read(ReadRequest { query: None }).await?;
        while let Some(batch) = batches.message().await? {
            if !log.goes_on(batch.events.len()) {
                break;
            }
        }
        Ok(true)
    }

    async fn subscribe(&self) -> anyhow::Result<Option<Following>> {
        let after = self.clients[0].head().await?;
        let subscribed = self.clients[0].subscribe(SubscribeRequest { after });
        Ok(Some(Following(subscribed.await?)))
    }

    fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.server.resident_bytes()
    }
}

impl UmaDb {
    async fn send(&self, appender: usize, call: Call) -> anyhow::Result<()> {
        let client = &self.clients[appender % CONNECTIONS];
        let last = client.append(call.request).await?.position;
        for aggregate in call.aggregates {
            self.positions[aggregate].fetch_max(last, Ordering::Relaxed);
        }
        Ok(())
    }
}

pub(crate) struct Following(Streaming<Events>);

impl Subscriber for Following {
    async fn next(&mut self) -> anyhow::Result<Vec<Uuid>> {
        let batch = self.0.message().await?.context("follow the log")?;
        let events = batch.events.into_iter().filter_map(|event| event.event);
        events.map(|event| Ok(event.uuid.parse()?)).collect()
    }
}

fn tag(aggregate: usize) -> String {
    format!("{}:{aggregate}", Event::AGGREGATE_TYPE)
}

fn query(aggregate: usize) -> Query {
    Query {
        items: vec![QueryItem {
            tags: vec![tag(aggregate)],
        }],
    }
}
