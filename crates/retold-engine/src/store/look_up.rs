//! What a caller looks up before its append reaches the writer, so that a slow look-up holds
//! up nobody else.

use std::collections::HashMap;

use retold_core::{
    Append, Appended, Condition, Damage, Error, Identity, Position, RecordedEvent, SequenceNumber,
    StreamId,
};

use crate::index::Index;
use crate::state::{RECORD_ADVICE, damaged_stream};
use crate::visible::Visible;
use crate::write::recent::LookedUp;

/// What a caller's look-up found.
pub(super) enum Found {
    New(LookedUp),
    Repeated(Appended),
}

/// Looks at event ids, then at heads, among what is durable.
pub(super) fn look_up(visible: &Visible, append: &Append) -> Result<Found, Error> {
    let (positions, looked_up) = {
        let index = visible.index();
        let position = |event: &retold_core::NewEvent| index.position_of(event.metadata.event_id);
        let positions: Vec<Option<Position>> = append.events().iter().map(position).collect();
        let conditions = append
            .conditions()
            .iter()
            .filter_map(|condition| match condition {
                Condition::Stream { stream, .. } => Some(stream),
                _ => None,
            });
        let streams = append
            .events()
            .iter()
            .map(|event| &event.stream)
            .chain(conditions);
        let looked_up = heads(&index, streams);
        (positions, looked_up)
    };
    refuse_lost_ids(visible, append)?;
    if positions.iter().all(Option::is_none) {
        return looked_up.map(Found::New);
    }
    let recorded: Vec<Option<RecordedEvent>> = positions
        .into_iter()
        .map(|position| position.map(|position| visible.event(position)).transpose())
        .collect::<Result<_, _>>()?;
    match append.identify(&recorded)? {
        Identity::New => looked_up.map(Found::New),
        Identity::Repeated => Ok(Found::Repeated(Appended {
            is_new: false,
            events: recorded.into_iter().flatten().collect(),
        })),
    }
}

/// An event whose id is known but whose content is lost can be neither confirmed nor
/// written again.
fn refuse_lost_ids(visible: &Visible, append: &Append) -> Result<(), Error> {
    if visible.lost().is_empty() {
        return Ok(());
    }
    let mut ids = append.events().iter().map(|event| event.metadata.event_id);
    let Some(position) = ids.find_map(|id| visible.lost_position(&id)) else {
        return Ok(());
    };
    let damage = Damage {
        position: Some(position),
        reason: "the event was appended before, and lost to damage".into(),
        ..Damage::default()
    };
    Err(Error::corrupt(damage, RECORD_ADVICE))
}

/// The heads of some streams, of which no event may be missing.
pub(super) fn heads<'a>(
    index: &Index,
    streams: impl Iterator<Item = &'a StreamId>,
) -> Result<LookedUp, Error> {
    let mut heads: HashMap<StreamId, SequenceNumber> = HashMap::new();
    for stream in streams {
        if heads.contains_key(stream) {
            continue;
        }
        let info = index.stream(stream);
        if let Some(hole) = info.and_then(|info| info.hole) {
            return Err(damaged_stream(stream, hole));
        }
        let head = info.map_or(0, |info| info.head.sequence_number);
        heads.insert(stream.clone(), head);
    }
    Ok(LookedUp {
        through: index.head().position,
        heads,
    })
}
