//! Which snapshots count, beginning a fold from one, and keeping one. A snapshot never changes
//! an answer: whatever does not fit the log as it is now is passed over.

use retold_core::{
    Checkpoint, Clock, EventStore, Json, RecordedEvent, ReducerId, SequenceNumber, SideStore,
    Snapshot, StreamId, StreamQuery,
};

use super::{Folded, Reading, Reducer, id_of};
use crate::Error;
use crate::checkpoint::is_within;

/// How many snapshots are tried before a stream is replayed from its beginning. More than one
/// is wrong only after the log was replaced or lost its tail.
const CANDIDATES_MAX: usize = 8;

/// The best state to begin a fold from: that of the newest snapshot within the prefix read that
/// counts, else the initial one.
pub(crate) async fn start<R: Reducer>(
    reading: &Reading<'_>,
    side_store: &dyn SideStore,
    reducer: &R,
) -> Result<Folded<R::State>, Error> {
    let (store, stream, point) = (reading.store, reading.stream, reading.point);
    let id = id_of(reducer, stream.aggregate_type(), reading.upcasters);
    let candidates = side_store
        .snapshots_at(stream, &id, point, CANDIDATES_MAX)
        .await;
    let candidates = candidates.unwrap_or_else(|error| {
        // What is derived may be missing: the answer only takes longer.
        tracing::warn!(%stream, %error, "failed to read snapshots; replaying the whole stream");
        Vec::new()
    });
    for snapshot in candidates {
        let is_asked_for = snapshot.stream == *stream
            && snapshot.reducer == id
            && point.includes_snapshot(&snapshot);
        if !is_asked_for || !counts(store, &snapshot).await? {
            continue;
        }
        match snapshot.state.decode() {
            Ok(state) => return Ok(Folded::of_snapshot(state, &snapshot)),
            Err(error) => tracing::warn!(
                %stream,
                sequence_number = snapshot.sequence_number,
                reducer = &*id.name,
                %error,
                "ignoring a snapshot of another shape; give the reducer a new version"
            ),
        }
    }
    Ok(Folded::initial(reducer.initial()))
}

/// Whether a snapshot was made from the log as it is now: its log is an era of the history that
/// reaches its position, and the event that it was made at is there.
pub(crate) async fn counts(store: &dyn EventStore, snapshot: &Snapshot) -> Result<bool, Error> {
    if !is_within(&store.history(), &snapshot.checkpoint) {
        return Ok(false);
    }
    let event = event_at(store, &snapshot.stream, snapshot.sequence_number).await?;
    Ok(event.is_some_and(|event| {
        event.position == snapshot.checkpoint.position
            && event.metadata.event_id == snapshot.checkpoint.event_id
    }))
}

async fn event_at(
    store: &dyn EventStore,
    stream: &StreamId,
    sequence_number: SequenceNumber,
) -> Result<Option<RecordedEvent>, Error> {
    let mut query = StreamQuery::new(stream.clone());
    query.from_sequence = sequence_number;
    query.to_sequence = sequence_number;
    query.limit = 1;
    Ok(store.read_stream(query).await?.into_events()?.pop())
}

/// Keeps a state as a snapshot; none where no event was folded in.
pub(crate) async fn save(
    store: &dyn EventStore,
    side_store: &dyn SideStore,
    clock: &dyn Clock,
    stream: &StreamId,
    reducer: ReducerId,
    folded: Folded<Json>,
    metadata: Json,
) -> Result<Option<Snapshot>, Error> {
    let Some(last) = folded.last else {
        return Ok(None);
    };
    let snapshot = Snapshot {
        stream: stream.detached(),
        reducer,
        sequence_number: last.sequence_number,
        checkpoint: Checkpoint {
            log_id: store.log_id(),
            position: last.position,
            event_id: last.event_id,
        },
        latest_timestamp: last.latest_timestamp,
        last_persisted_at: last.persisted_at,
        state: folded.state,
        metadata,
        created_at: clock.now(),
    };
    side_store.save_snapshot(snapshot.clone()).await?;
    Ok(Some(snapshot))
}
