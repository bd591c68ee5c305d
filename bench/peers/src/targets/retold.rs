//! Retold's engine in this process.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use retold::engine::{EngineStore, Options};
use retold::{
    Entry, EntryRef, EventStore, Expected, Filter, Json, LogScan, Metadata, NewEvent, StreamId,
    StreamQuery, Text, Timestamp,
};
use retold_core::{Append, Subscription};
use session::{Event, Log, Subscriber, Target};
use uuid::Uuid;

/// Events of a page: what one append may hold, times ten.
const PAGE: usize = 10_000;

pub(crate) struct Retold(Arc<EngineStore>);

impl Target for Retold {
    type Call = Append;
    type Subscriber = Following;

    async fn open(folder: &Path) -> anyhow::Result<Retold> {
        let folder = folder.join("data");
        let open = move || EngineStore::open(&folder, Options::default());
        let store = tokio::task::spawn_blocking(open).await?;
        Ok(Retold(Arc::new(store.context("open the engine")?)))
    }

    async fn close(self) -> anyhow::Result<()> {
        self.0.close().await.context("close the engine")
    }

    async fn version(&self) -> anyhow::Result<String> {
        Ok("this checkout".to_owned())
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Append> {
        let mut expected = Vec::<(StreamId, u64)>::new();
        let mut list = Vec::with_capacity(events.len());
        let mut seen = std::collections::HashSet::new();
        for event in events {
            let stream = stream(event.aggregate)?;
            if seen.insert(event.aggregate) {
                expected.push((stream.clone(), event.sequence - 1));
            }
            list.push(NewEvent {
                stream,
                event_type: Text::from_static(Event::EVENT_TYPE),
                payload: Json::parse(event.payload)?,
                tags: Vec::new(),
                metadata: Metadata {
                    event_id: event.event_id,
                    version: Text::from_static("1.0.0"),
                    timestamp: Timestamp::now(),
                    correlation_id: Text::from(event.correlation_id.to_string()),
                    causation_id: None,
                    actor: None,
                    extra: Vec::new(),
                },
            });
        }
        let append = Append::new(list);
        Ok(expected.into_iter().fold(append, |append, (stream, head)| {
            append.expect(stream, Expected::Sequence(head))
        }))
    }

    async fn append(&self, _appender: usize, call: Append) -> anyhow::Result<()> {
        self.0.append(call).await.context("append")?;
        Ok(())
    }

    async fn read_stream(&self, aggregate: usize) -> anyhow::Result<Option<u64>> {
        let mut query = StreamQuery::new(stream(aggregate)?);
        query.limit = PAGE;
        let mut events = 0;
        loop {
            let page = self.0.read_stream(query.clone()).await?;
            events += page.entries.len() as u64;
            match page.next {
                Some(next) => query = query.continued(next),
                None => return Ok(Some(events)),
            }
        }
    }

    async fn read_log(&self, log: &mut Log) -> anyhow::Result<bool> {
        let mut scan = LogScan::new(Arc::clone(&self.0) as _, 0);
        while let Some(block) = scan.next().await? {
            let mut payload_bytes = 0;
            for nth in 0..block.len() {
                if let EntryRef::Event(event) = block.entry(nth)? {
                    payload_bytes += event.payload.len();
                }
            }
            ensure!(payload_bytes > 0, "read payloads");
            if !log.goes_on(block.len()) {
                break;
            }
        }
        Ok(true)
    }

    async fn subscribe(&self) -> anyhow::Result<Option<Following>> {
        let store: Arc<dyn EventStore> = Arc::clone(&self.0) as _;
        let head = self.0.head().await?.position;
        Ok(Some(Following(Subscription::new(
            store,
            head,
            Filter::default(),
        ))))
    }
}

pub(crate) struct Following(Subscription);

impl Subscriber for Following {
    async fn next(&mut self) -> anyhow::Result<Vec<Uuid>> {
        let batch = self.0.next().await.context("follow the log")?;
        let ids = batch.entries.into_iter().filter_map(|entry| match entry {
            Entry::Event(event) => Some(event.metadata.event_id),
            Entry::Lost(_) => None,
        });
        Ok(ids.collect())
    }
}

fn stream(aggregate: usize) -> anyhow::Result<StreamId> {
    Ok(StreamId::new(Event::AGGREGATE_TYPE, aggregate.to_string())?)
}
