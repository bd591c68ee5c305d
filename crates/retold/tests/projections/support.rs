//! A projection that counts, and events for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use retold::projection::{Projection, View};
use retold::{
    BoxError, ColumnType, Json, NewEvent, Position, RecordedEvent, Retold, RowQuery, StreamId,
    Table,
};

/// Counts events by type and by actor; fails on an event type for as long as it is told to.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    pub(crate) version: u32,
    /// How often `apply` was called.
    pub(crate) calls: Arc<AtomicU64>,
    /// Fails on events of the type `bad` while it is not 0, and panics while it is 2.
    pub(crate) fails: Arc<AtomicU64>,
}

impl Counts {
    pub(crate) fn version(version: u32) -> Counts {
        Counts {
            version,
            ..Counts::default()
        }
    }
}

impl Projection for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn tables(&self) -> Vec<Table> {
        let counts = Table::new("counts")
            .key("event_type", ColumnType::Text)
            .column("events", ColumnType::Integer)
            .column("last_position", ColumnType::Integer)
            .index(&["events"]);
        vec![counts]
    }

    fn apply(&self, event: &RecordedEvent, view: &mut View<'_>) -> Result<(), BoxError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let before = match view.get("counts", &event.event_type)? {
            Some(row) => row.integer("events")?,
            None => 0,
        };
        // A version counts in steps of its number, so that rows tell which one made them.
        let events = before + i64::from(self.version.max(1));
        view.put("counts", (&event.event_type, events, event.position))?;
        if event.event_type == "bad" {
            match self.fails.load(Ordering::Relaxed) {
                0 => {}
                1 => return Err("it is bad".into()),
                _ => panic!("it is very bad"),
            }
        }
        Ok(())
    }
}

pub(crate) fn event(id: &str, event_type: &str) -> NewEvent {
    let stream = StreamId::new("Order", id).unwrap();
    NewEvent::from_json(stream, event_type.to_owned(), Json::null())
}

pub(crate) async fn append(retold: &Retold, event_type: &str, times: u64) -> Position {
    let mut position = 0;
    for nth in 0..times {
        let event = event(&(nth % 7).to_string(), event_type);
        position = retold.append(event).await.unwrap().events[0].position;
    }
    position
}

/// All rows of a table, as texts.
pub(crate) async fn rows(retold: &Retold, projection: &str, table: &str) -> Vec<Vec<String>> {
    let handle = retold.projection(projection);
    let mut query = RowQuery::default().limit(100);
    let mut all = Vec::new();
    loop {
        let page = handle.rows(table, query.clone()).await.unwrap();
        for row in page.rows {
            all.push(row.values().iter().map(ToString::to_string).collect());
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

/// Waits until the projection is as far as the log.
pub(crate) async fn caught_up(retold: &Retold, projection: &str) {
    let head = retold.store().head().await.unwrap().position;
    let waits = retold.projection(projection);
    let waits = waits.wait_through(head);
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), waits).await;
    waited.expect("it catches up").unwrap();
}

/// Polls a condition until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !holds().await {
        assert!(std::time::Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
