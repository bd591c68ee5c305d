//! evento on fjall, in this process. It checks the version of each aggregate; event ids are its
//! keys, a repeated one is not refused.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use evento::cursor::{Args, Value};
use evento::{EventFilter, Executor, Fjall, TenantFilter};
use session::{Event, Log, Target};

/// Events of a page.
const PAGE: u16 = 10_000;

pub(crate) struct Evento(Fjall);

impl Target for Evento {
    type Call = Vec<evento::Event>;
    type Subscriber = Infallible;

    async fn open(folder: &Path) -> anyhow::Result<Evento> {
        let folder = folder.join("data");
        let open = tokio::task::spawn_blocking(move || Fjall::open(folder));
        Ok(Evento(open.await??))
    }

    async fn close(self) -> anyhow::Result<()> {
        tokio::task::spawn_blocking(move || drop(self)).await?;
        Ok(())
    }

    async fn version(&self) -> anyhow::Result<String> {
        session::locked(include_str!("../../../Cargo.lock"), "evento-fjall")
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Vec<evento::Event>> {
        let events = events.into_iter().map(|event| {
            let mut metadata = evento::metadata::Metadata::default();
            metadata.set_requested_as(event.correlation_id.to_string());
            Ok(evento::Event {
                id: event.event_id.as_u128().into(),
                aggregate_id: event.aggregate_id(),
                aggregate_type: Event::AGGREGATE_TYPE.to_owned(),
                version: u16::try_from(event.sequence).context("count to a version")?,
                name: Event::EVENT_TYPE.to_owned(),
                data: event.payload.into_bytes(),
                metadata,
                ..evento::Event::default()
            })
        });
        events.collect()
    }

    async fn append(&self, _appender: usize, call: Vec<evento::Event>) -> anyhow::Result<()> {
        Ok(self.0.write(call).await?)
    }

    async fn read_stream(&self, aggregate: usize) -> anyhow::Result<Option<u64>> {
        let aggregate = aggregate.to_string();
        let filter = EventFilter::by_id_raw(Event::AGGREGATE_TYPE, aggregate);
        let (mut after, mut events) = (None, 0);
        loop {
            let (page, next) = self.page(Some(filter.clone()), after).await?;
            events += page.len() as u64;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(Some(events)),
            }
        }
    }

    async fn read_log(&self, log: &mut Log) -> anyhow::Result<bool> {
        let mut after = None;
        loop {
            let (page, next) = self.page(None, after).await?;
            if !log.goes_on(page.len()) || next.is_none() {
                return Ok(true);
            }
            after = next;
        }
    }
}

impl Evento {
    /// A page of what the filter admits, and where to go on.
    async fn page(
        &self,
        filter: Option<EventFilter>,
        after: Option<Value>,
    ) -> anyhow::Result<(Vec<evento::Event>, Option<Value>)> {
        let filter = filter.map(|filter| Arc::from([filter]));
        let args = Args::forward(PAGE, after);
        let page = self.0.read(filter, None, TenantFilter::All, args, None);
        let page = page.await?;
        let events = page.edges.into_iter().map(|edge| edge.node).collect();
        let next = page.page_info.has_next_page;
        Ok((events, page.page_info.end_cursor.filter(|_| next)))
    }
}
