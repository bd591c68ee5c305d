//! A property: in whatever batches events are applied, and wherever the process dies in between,
//! the rows are those of one go from the beginning.

use std::sync::Arc;

use proptest::prelude::*;
use retold_core::{
    Entry, Json, LogId, Metadata, NewEvent, RecordedEvent, RowQuery, StreamId, Table, Timestamp,
    Value, ViewId, ViewStore,
};
use retold_memory::MemoryViews;

use super::applying::{Applier, Stopped};
use super::{CurrentState, ProcessMap, Projection, StateHistory, View};
use crate::transition::{MACHINE_KEY, TRUSTED};
use crate::upcasters::Chains;
use crate::{BoxError, Machine};

/// Fails on some events for the first time that it meets them, after it has changed rows.
struct Fragile<P> {
    inner: P,
    failed: std::sync::Mutex<std::collections::HashSet<u64>>,
}

impl<P: Projection> Projection for Fragile<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn tables(&self) -> Vec<Table> {
        self.inner.tables()
    }

    fn filter(&self) -> retold_core::Filter {
        self.inner.filter()
    }

    fn apply(&self, event: &RecordedEvent, view: &mut View<'_>) -> Result<(), BoxError> {
        self.inner.apply(event, view)?;
        let is_bad = event.tags.iter().any(|tag| tag == "bad");
        match is_bad && self.failed.lock().unwrap().insert(event.position) {
            true => Err("it is bad, once".into()),
            false => Ok(()),
        }
    }
}

/// What one event is made of: type, stream, event, minutes since the last one, whether it is bad.
type Made = (usize, u8, usize, i32, bool);

fn recorded(made: &[Made]) -> Vec<RecordedEvent> {
    let mut minutes = 0i64;
    let mut sequences = std::collections::HashMap::new();
    let positions = 1..;
    let made = made.iter().zip(positions);
    made.map(|(&(of, id, event, more, is_bad), position)| {
        minutes += i64::from(more);
        let of = ["Issue", "Order", "PurchaseOrder"][of];
        let stream = StreamId::new(of, id.to_string()).unwrap();
        let event_type = ["opened", "start_work", "block", "closed"][event];
        let payload = format!(r#"{{"fromState":"A","toState":"S{event}","event":"e"}}"#);
        let mut new =
            NewEvent::from_json(stream.clone(), event_type, Json::parse(payload).unwrap());
        if event % 2 == 1 && of != "Order" {
            let trusted = Json::from_value(TRUSTED).unwrap();
            new = new.extra(MACHINE_KEY, trusted);
        }
        if is_bad {
            new = new.tag("bad");
        }
        new.metadata = Metadata {
            event_id: uuid::Uuid::from_u128(position.into()),
            timestamp: Timestamp::from_micros(1_700_000_000_000_000 + minutes * 60_000_000)
                .unwrap(),
            correlation_id: "story".into(),
            ..new.metadata
        };
        let sequence = sequences.entry(stream).or_insert(0u64);
        *sequence += 1;
        new.record(*sequence, position, Timestamp::from_micros(0).unwrap())
    })
    .collect()
}

/// What is done next: so many events are applied, and then perhaps committed, or all is lost.
#[derive(Debug, Clone)]
enum Step {
    Apply(usize),
    Commit,
    /// The process dies: what was not committed is gone.
    Die,
    /// The process dies after rows were written and before they were committed.
    DieWhileCommitting,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1usize..20).prop_map(Step::Apply),
        2 => Just(Step::Commit),
        1 => Just(Step::Die),
        1 => Just(Step::DieWhileCommitting),
    ];
    prop::collection::vec(step, 0..40)
}

fn id() -> ViewId {
    ViewId {
        name: "view".into(),
        version: "1".into(),
    }
}

fn opened(views: &dyn ViewStore, projection: &Arc<dyn Projection>) -> Applier {
    let writer = views.open(&id()).unwrap();
    let upcasters = Chains::default();
    Applier::new(Arc::clone(projection), upcasters, writer, LogId::nil()).unwrap()
}

/// All rows of all tables.
fn rows(views: &dyn ViewStore) -> Vec<(String, Vec<Vec<Value>>)> {
    let reader = views.reader(&id()).unwrap();
    let tables = reader.tables().unwrap().into_iter();
    let all = RowQuery::default().limit(100_000);
    tables
        .map(|table| {
            let page = reader.rows(&table.name, &all).unwrap();
            (table.name, page.rows)
        })
        .collect()
}

/// Applies events in these steps, and goes on where a view says it is.
fn apply_in_steps(
    views: &dyn ViewStore,
    projection: &Arc<dyn Projection>,
    events: &[RecordedEvent],
    steps: &[Step],
) {
    let mut applier = opened(views, projection);
    let mut at = 0usize;
    // Whatever the steps are, in the end everything is applied; a failure is met twice at most.
    let rest = std::iter::repeat_n(&Step::Apply(usize::MAX), 2 * events.len() + 1);
    for step in steps.iter().chain(rest) {
        match step {
            Step::Apply(count) => {
                let end = at.saturating_add(*count).min(events.len());
                let entries: Vec<Entry> =
                    events[at..end].iter().cloned().map(Entry::Event).collect();
                match applier.apply(&entries, end as u64) {
                    Ok(()) => at = end,
                    Err(Stopped::At(failed)) => {
                        // What came before it is applied again, and kept without it.
                        applier.undo().unwrap();
                        let from = usize::try_from(applier.committed().complete_through).unwrap();
                        let before = usize::try_from(failed.position - 1).unwrap();
                        let entries = events[from..before].iter().cloned().map(Entry::Event);
                        let entries: Vec<Entry> = entries.collect();
                        applier.apply(&entries, before as u64).unwrap();
                        applier.commit().unwrap();
                        at = before;
                    }
                    Err(Stopped::Trouble(error)) => panic!("{error}"),
                }
            }
            Step::Commit => applier.commit().unwrap(),
            Step::Die | Step::DieWhileCommitting => {
                if matches!(step, Step::DieWhileCommitting) {
                    applier.write_without_commit().unwrap();
                }
                drop(applier);
                applier = opened(views, projection);
                at = usize::try_from(applier.committed().complete_through).unwrap();
            }
        }
    }
    applier.commit().unwrap();
    assert_eq!(applier.committed().complete_through, events.len() as u64);
}

fn fragile(projection: impl Projection) -> Arc<dyn Projection> {
    Arc::new(Fragile {
        inner: projection,
        failed: std::sync::Mutex::default(),
    })
}

fn check(made: &[Made], steps: &[Step], views: &dyn ViewStore, which: usize) {
    let events = recorded(made);
    let projection = || match which {
        0 => fragile(CurrentState::new(&[Machine::issue()])),
        1 => fragile(StateHistory),
        _ => fragile(ProcessMap),
    };
    apply_in_steps(views, &projection(), &events, steps);
    let at_once = MemoryViews::new();
    apply_in_steps(&at_once, &projection(), &events, &[]);
    assert_eq!(rows(views), rows(&at_once));
}

fn events() -> impl Strategy<Value = Vec<Made>> {
    // One in ten events is dated before the one that came before it.
    let minutes = prop_oneof![9 => 0..5000i32, 1 => -5000..0i32];
    let one = (
        0..3usize,
        0..6u8,
        0..4usize,
        minutes,
        prop::bool::weighted(0.05),
    );
    prop::collection::vec(one, 0..120)
}

proptest! {
    #[test]
    fn rows_are_those_of_one_go_wherever_it_dies(
        made in events(), steps in steps(), which in 0..3usize,
    ) {
        check(&made, &steps, &MemoryViews::new(), which);
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    // Files are slower than memory.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_in_files_are_those_of_one_go_wherever_it_dies(
        made in events(), steps in steps(), which in 0..3usize,
    ) {
        let folder = tempfile::TempDir::new().unwrap();
        check(&made, &steps, &retold_sqlite::SqliteViews::new(folder.path()), which);
    }
}
