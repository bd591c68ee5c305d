//! Whether something that was derived was derived from this log.

use retold_core::{Checkpoint, Entry, Era, Error, EventStore, LogQuery, Position, RecordedEvent};

/// Whether a place belongs to the log's history; the place before the first event does.
pub(crate) async fn belongs(
    store: &dyn EventStore,
    checkpoint: Option<&Checkpoint>,
) -> Result<bool, Error> {
    let Some(checkpoint) = checkpoint else {
        return Ok(true);
    };
    if !is_within(&store.history(), checkpoint) {
        return Ok(false);
    }
    Ok(match event_at(store, checkpoint.position).await? {
        Some(event) => event.metadata.event_id == checkpoint.event_id,
        // Lost, but not past the end.
        None => checkpoint.position <= store.head().await?.position,
    })
}

/// Whether a place is in an era of the history that reaches it.
pub(crate) fn is_within(history: &[Era], checkpoint: &Checkpoint) -> bool {
    let mut eras = history.iter();
    if !eras.any(|era| era.log_id == checkpoint.log_id) {
        return false;
    }
    eras.next()
        .is_none_or(|next| checkpoint.position < next.from)
}

/// The event at a position; none where it was lost, or the log ends before it.
pub(crate) async fn event_at(
    store: &dyn EventStore,
    position: Position,
) -> Result<Option<RecordedEvent>, Error> {
    if position > store.head().await?.position {
        return Ok(None);
    }
    let mut query = LogQuery::after(position - 1).limit(1);
    query.through = position;
    query.filter.include_reserved = true;
    let page = store.read_log(query).await?;
    let entry = page.entries.into_iter().next();
    Ok(entry.and_then(|entry| match entry {
        Entry::Event(event) => Some(event),
        Entry::Lost(_) => None,
    }))
}

#[cfg(test)]
mod tests {
    use retold_core::{EventId, LogId};

    use super::*;

    #[test]
    fn a_place_counts_up_to_where_the_next_era_of_its_log_begins() {
        let [old, new, other] = [1, 2, 3].map(LogId::from_u128);
        // The tail behind position 100 was lost, and the log goes on under a new id.
        let history = [
            Era {
                log_id: old,
                from: 1,
            },
            Era {
                log_id: new,
                from: 101,
            },
        ];
        for (log_id, position, counts) in [
            (old, 1, true),
            (old, 100, true),
            (old, 101, false),
            (new, 100, true),
            (new, 101, true),
            (new, 1_000, true),
            (other, 1, false),
        ] {
            let event_id = EventId::from_u128(9);
            let checkpoint = Checkpoint {
                log_id,
                position,
                event_id,
            };
            assert_eq!(is_within(&history, &checkpoint), counts, "{checkpoint:?}");
        }
    }
}
