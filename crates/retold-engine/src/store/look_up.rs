//! What a caller looks up before its append reaches the writer, so that a slow look-up holds
//! up nobody else.

use retold_core::{Append, Appended, Damage, Error, Identity, Position, RecordedEvent};

use crate::index::{Fault, Scope, View};
use crate::state::{RECORD_ADVICE, damaged_stream};
use crate::visible::Visible;
use crate::write::keyed::KeyedAppend;
use crate::write::recent::LookedUp;

/// What a caller's look-up found.
pub(super) enum Found {
    New(LookedUp),
    Repeated(Appended),
}

/// Looks at event ids, then at heads, among what is durable. What stands behind `floor` is known
/// to the writer, and need not be found: the table that events are added to is left alone then.
pub(super) fn look_up(
    visible: &Visible,
    keyed: &KeyedAppend,
    floor: Option<Position>,
) -> Result<Found, Error> {
    let mut asked = visible.ask(|view| ask(view, keyed, floor))?;
    if !asked.candidates.is_empty() {
        // Which of the events are known already is told by all that is durable.
        asked = visible.ask(|view| ask(view, keyed, None))?;
    }
    judge(visible, &keyed.append, asked)
}

/// The same as far as it takes no more than what lies in memory; none where it takes more.
pub(super) fn look_up_in_memory(
    visible: &Visible,
    keyed: &KeyedAppend,
    floor: Option<Position>,
) -> Option<Result<Found, Error>> {
    let asked = visible.ask_memory(|view| ask(view, keyed, floor))?;
    // Records lie on the disk.
    let is_new = asked.candidates.is_empty();
    is_new.then(|| judge(visible, &keyed.append, asked))
}

/// What the index says of an append.
struct Asked {
    /// Where events may stand already, by their place in the call.
    candidates: Vec<(usize, Position)>,
    heads: Result<LookedUp, Error>,
}

fn ask(view: &View, keyed: &KeyedAppend, floor: Option<Position>) -> Result<Asked, Fault> {
    let (scope, through) = match floor {
        Some(floor) if floor <= view.sealed() => (Scope::Sealed, view.sealed()),
        _ => (Scope::All, view.head().position),
    };
    let events = keyed.append.events().iter().zip(&keyed.events);
    let ids = events.map(|(event, keys)| (event.metadata.event_id, keys.event));
    Ok(Asked {
        candidates: view.positions_of_all(ids, scope)?,
        heads: heads(view, keyed, scope, through)?,
    })
}

fn judge(visible: &Visible, append: &Append, asked: Asked) -> Result<Found, Error> {
    refuse_lost_ids(visible, append)?;
    if asked.candidates.is_empty() {
        return asked.heads.map(Found::New);
    }
    let mut recorded: Vec<Option<RecordedEvent>> = vec![None; append.events().len()];
    for (place, position) in asked.candidates {
        if recorded[place].is_none() {
            let event_id = append.events()[place].metadata.event_id;
            recorded[place] = visible.event_of(event_id, &[position])?;
        }
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

/// The heads of the streams of an append, of which no event may be missing.
fn heads(
    view: &View,
    keyed: &KeyedAppend,
    scope: Scope,
    through: Position,
) -> Result<Result<LookedUp, Error>, Fault> {
    let mut heads = view.newest(&keyed.streams, scope)?;
    if !view.has_no_losses() {
        for (place, head) in heads.iter_mut().enumerate() {
            let stream = keyed.name(place);
            *head = view.lost_head(stream).max(*head);
            if let Some(hole) = view.hole(stream).filter(|_| *head > 0) {
                return Ok(Err(damaged_stream(stream, hole)));
            }
        }
    }
    Ok(Ok(LookedUp { through, heads }))
}
