//! How the work really flows: which event follows which, how often, and how long that takes.

use retold_core::{ColumnType, RecordedEvent, Table, Timestamp};

use crate::BoxError;
use crate::projection::{Projection, View};

pub(in crate::projection) const EDGES: &str = "edges";
pub(in crate::projection) const DURATIONS: &str = "durations";
pub(in crate::projection) const EDGE_STREAMS: &str = "edge_streams";
const LAST_EVENTS: &str = "last_events";

/// The month that stands for all of them.
pub(in crate::projection) const ALL_MONTHS: &str = "";

/// What the first event of a stream follows.
pub(in crate::projection) const BEGINNING: &str = "";

/// The projection `process_map`: for each aggregate type which event follows which in its streams,
/// how often, and how long it takes, over the whole log and by the month (UTC) of the second one.
///
/// The tables: `edges` has the count and the sum of the durations in seconds, `durations` how many
/// fall into each [bucket](duration_bucket), and `edge_streams` which streams took an edge. The
/// month `''` is the whole log, and the first event of a stream follows `''`.
///
/// A duration is the time from one event's `timestamp` to the next one's; where the second is dated
/// earlier it is 0. All numbers are sums over events in the order of the log, so it makes no
/// difference in which batches they came.
#[derive(Debug, Clone, Copy)]
pub struct ProcessMap;

impl Projection for ProcessMap {
    fn name(&self) -> &'static str {
        "process_map"
    }

    fn tables(&self) -> Vec<Table> {
        let edges = Table::new(EDGES)
            .key("aggregate_type", ColumnType::Text)
            .key("month", ColumnType::Text)
            .key("from_event", ColumnType::Text)
            .key("to_event", ColumnType::Text)
            .column("count", ColumnType::Integer)
            .column("seconds", ColumnType::Real);
        let durations = Table::new(DURATIONS)
            .key("aggregate_type", ColumnType::Text)
            .key("month", ColumnType::Text)
            .key("from_event", ColumnType::Text)
            .key("to_event", ColumnType::Text)
            .key("bucket", ColumnType::Integer)
            .column("count", ColumnType::Integer);
        let edge_streams = Table::new(EDGE_STREAMS)
            .key("aggregate_type", ColumnType::Text)
            .key("from_event", ColumnType::Text)
            .key("to_event", ColumnType::Text)
            .key("aggregate_id", ColumnType::Text)
            .column("count", ColumnType::Integer)
            .column("seconds", ColumnType::Real)
            .column("last_at", ColumnType::Text)
            .index(&["aggregate_type", "from_event", "to_event", "seconds"]);
        let last_events = Table::new(LAST_EVENTS)
            .key("aggregate_type", ColumnType::Text)
            .key("aggregate_id", ColumnType::Text)
            .column("event_type", ColumnType::Text)
            .column("at_micros", ColumnType::Integer);
        vec![edges, durations, edge_streams, last_events]
    }

    fn apply(&self, event: &RecordedEvent, view: &mut View<'_>) -> Result<(), BoxError> {
        let (of, id) = (event.stream.aggregate_type(), event.stream.aggregate_id());
        let (to, at) = (&event.event_type, event.metadata.timestamp);
        let (from, micros) = match view.get(LAST_EVENTS, (of, id))? {
            Some(last) => {
                let since = last.integer("at_micros")?;
                let micros = at.as_micros().saturating_sub(since).max(0);
                (last.text("event_type")?.clone(), micros.cast_unsigned())
            }
            None => (BEGINNING.into(), 0),
        };
        #[expect(clippy::cast_precision_loss, reason = "2^53 us are 285 years")]
        let seconds = micros as f64 / 1e6;
        let bucket = duration_bucket(micros);
        for month in [ALL_MONTHS, &month_of(at)] {
            let edge = (of, month, &from, to);
            let (count, sum) = match view.get(EDGES, edge)? {
                Some(row) => (row.integer("count")?, row.real("seconds")?),
                None => (0, 0.0),
            };
            view.put(EDGES, (of, month, &from, to, count + 1, sum + seconds))?;
            let bucket = i64::from(bucket);
            let count = match view.get(DURATIONS, (of, month, &from, to, bucket))? {
                Some(row) => row.integer("count")?,
                None => 0,
            };
            view.put(DURATIONS, (of, month, &from, to, bucket, count + 1))?;
        }
        let (count, sum) = match view.get(EDGE_STREAMS, (of, &from, to, id))? {
            Some(row) => (row.integer("count")?, row.real("seconds")?),
            None => (0, 0.0),
        };
        view.put(
            EDGE_STREAMS,
            (of, &from, to, id, count + 1, sum + seconds, at),
        )?;
        Ok(view.put(LAST_EVENTS, (of, id, to, at.as_micros()))?)
    }
}

/// The year and the month of a point in time, in UTC: `2024-02`.
fn month_of(at: Timestamp) -> String {
    let text = at.to_string();
    // A year before 0 begins with a sign.
    let year_end = text[1..].find('-').map_or(text.len(), |at| at + 1);
    text[..text.len().min(year_end + 3)].to_owned()
}

/// Buckets in which a duration doubles.
const BUCKETS_PER_DOUBLING: u32 = 32;

/// The bucket of a duration in microseconds. Buckets are fixed: one for each microsecond up to 64,
/// and then 32 of equal width for each doubling, so that none is wider than 1/32 (3.2 %) of what is
/// in it. (The same division as in HdrHistogram.)
pub fn duration_bucket(micros: u64) -> u32 {
    let bits = micros.max(1).ilog2();
    let shift = bits.saturating_sub(BUCKETS_PER_DOUBLING.ilog2());
    let within = u32::try_from(micros >> shift).expect("at most twice the buckets of a doubling");
    shift * BUCKETS_PER_DOUBLING + within
}

/// The duration in microseconds that stands in the middle of a bucket.
pub fn duration_of_bucket(bucket: u32) -> u64 {
    let shift = (bucket / BUCKETS_PER_DOUBLING).saturating_sub(1).min(63);
    let within = u64::from(bucket - shift * BUCKETS_PER_DOUBLING);
    let (low, width) = (within << shift, 1u64 << shift);
    low.saturating_add((width - 1) / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_is_narrow_and_in_order(micros in any::<u64>(), more in any::<u32>()) {
            let bucket = duration_bucket(micros);
            let middle = duration_of_bucket(bucket);
            prop_assert_eq!(duration_bucket(middle), bucket);
            prop_assert!(middle.abs_diff(micros) <= micros / 32);
            let later = micros.saturating_add(more.into());
            prop_assert!(duration_bucket(later) >= bucket);
        }
    }

    #[test]
    fn a_month_is_the_one_in_utc() {
        let month = |text: &str| month_of(text.parse().unwrap());
        assert_eq!(month("2024-03-01T00:30:00+02:00"), "2024-02");
        assert_eq!(month("1969-12-31T23:59:59.999999Z"), "1969-12");
    }
}
