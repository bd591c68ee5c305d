//! What a caller looks up before its append reaches the writer, so that a slow look-up holds
//! up nobody else.

use retold_core::{
    Append, Appended, Condition, Damage, Error, Identity, Position, RecordedEvent, SequenceNumber,
    StreamId,
};

use crate::fast_map::FastMap;
use crate::index::{Fault, View};
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
    let asked = visible.ask(|view| ask(view, append))?;
    judge(visible, append, asked)
}

/// The same as far as it takes no more than what lies in memory; none where it takes more.
pub(super) fn look_up_in_memory(
    visible: &Visible,
    append: &Append,
) -> Option<Result<Found, Error>> {
    let asked = visible.ask_memory(|view| ask(view, append))?;
    // Records lie on the disk.
    let is_new = asked.candidates.iter().all(Vec::is_empty);
    is_new.then(|| judge(visible, append, asked))
}

/// What the index says of an append.
struct Asked {
    /// Where each event may stand already.
    candidates: Vec<Vec<Position>>,
    heads: Result<LookedUp, Error>,
}

fn ask(view: &View, append: &Append) -> Result<Asked, Fault> {
    let candidates = |event: &retold_core::NewEvent| view.positions_of(&event.metadata.event_id);
    let candidates = append.events().iter().map(candidates);
    let candidates = candidates.collect::<Result<_, _>>()?;
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
    Ok(Asked {
        candidates,
        heads: heads(view, streams)?,
    })
}

fn judge(visible: &Visible, append: &Append, asked: Asked) -> Result<Found, Error> {
    refuse_lost_ids(visible, append)?;
    let mut recorded: Vec<Option<RecordedEvent>> = Vec::with_capacity(asked.candidates.len());
    for (event, candidates) in append.events().iter().zip(&asked.candidates) {
        recorded.push(visible.event_of(event.metadata.event_id, candidates)?);
    }
    if recorded.iter().all(Option::is_none) {
        return asked.heads.map(Found::New);
    }
    match append.identify(&recorded)? {
        Identity::New => asked.heads.map(Found::New),
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
    view: &View,
    streams: impl Iterator<Item = &'a StreamId>,
) -> Result<Result<LookedUp, Error>, Fault> {
    let mut heads: FastMap<StreamId, SequenceNumber> = FastMap::default();
    for stream in streams {
        if heads.contains_key(stream) {
            continue;
        }
        let info = view.stream(stream)?;
        if let Some(hole) = info.and_then(|info| info.hole) {
            return Ok(Err(damaged_stream(stream, hole)));
        }
        let head = info.map_or(0, |info| info.head.sequence_number);
        heads.insert(stream.clone(), head);
    }
    Ok(Ok(LookedUp {
        through: view.head().position,
        heads,
    }))
}
