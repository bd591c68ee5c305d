//! The names of the streams that begin in a run, in their order, packed into pages.

use std::ops::Bound;

use retold_core::{Position, StreamId};

use super::header::Section;
use super::page::Page;
use super::{Fault, Reach, Run};
use crate::log::coding::Rest;

/// A name: both parts, each behind its length, then the stream's first position, counted from
/// the first of the run.
pub(super) fn encode(stream: &StreamId, position: u32) -> Vec<u8> {
    let (aggregate_type, aggregate_id) = (stream.aggregate_type(), stream.aggregate_id());
    let mut bytes = Vec::with_capacity(aggregate_type.len() + aggregate_id.len() + 7);
    bytes.push(u8::try_from(aggregate_type.len()).expect("types have at most 128 bytes"));
    bytes.extend_from_slice(aggregate_type.as_bytes());
    let length = u16::try_from(aggregate_id.len()).expect("ids have at most 512 bytes");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(aggregate_id.as_bytes());
    bytes.extend_from_slice(&position.to_le_bytes());
    bytes
}

/// The names of a page; none where it holds anything else.
pub(super) fn decode(page: &Page, first: Position) -> Option<Vec<(StreamId, Position)>> {
    let mut rest = Rest(page.payload());
    let mut names = Vec::new();
    // Zeros behind the last one.
    while let Some([length]) = rest.take(1)
        && *length > 0
    {
        let aggregate_type = std::str::from_utf8(rest.take(usize::from(*length))?).ok()?;
        let &[low, high] = rest.take(2)? else {
            return None;
        };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let aggregate_id = std::str::from_utf8(rest.take(length)?).ok()?;
        let position = u32::from_le_bytes(rest.take(4)?.try_into().ok()?);
        let stream = StreamId::new(aggregate_type.to_owned(), aggregate_id.to_owned()).ok()?;
        names.push((stream, first + Position::from(position)));
    }
    Some(names)
}

/// The first names that are not before `from`, at most `limit`.
pub(super) fn list(
    run: &Run,
    from: Bound<&StreamId>,
    limit: usize,
    reach: Reach,
) -> Result<Vec<StreamId>, Fault> {
    let place = run.header.section(Section::Names);
    let names = |page: u32| {
        let mut held = run.hold();
        let page = run.held(place.first_page + page, reach, &mut held)?;
        decode(page, run.first()).ok_or(run.bad())
    };
    let is_before = |name: &StreamId| match from {
        Bound::Included(from) => name < from,
        Bound::Excluded(from) => name <= from,
        Bound::Unbounded => false,
    };
    // The last page that begins before: what is asked for begins in it, or with the next.
    let (mut low, mut high) = (0, place.pages);
    while low < high {
        let middle = low + (high - low) / 2;
        match names(middle)?.first() {
            Some((name, _)) if is_before(name) => low = middle + 1,
            Some(_) => high = middle,
            None => return Err(run.bad()),
        }
    }
    let mut listed = Vec::new();
    for page in low.saturating_sub(1)..place.pages {
        let shown = names(page)?.into_iter().map(|(name, _)| name);
        listed.extend(shown.filter(|name| !is_before(name)));
        if listed.len() >= limit {
            break;
        }
    }
    listed.truncate(limit);
    Ok(listed)
}
