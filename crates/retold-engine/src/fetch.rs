//! Fetches records whose places are known: neighbours in one read, many reads in flight where
//! they come from the device, all of a batch into one buffer.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use retold_core::{LogId, Position, RecordedEvent};

use crate::index::Location;
use crate::log::record::{self, Names, RecordFault};
use crate::log::segment::Segment;

/// Bytes between two records that are still read in one go.
const SKIP_BYTES: u64 = 16 * 1024;

/// A read that takes longer than this did not come from the page cache.
const COLD_READ: Duration = Duration::from_micros(40);

/// Records that are asked for ahead of a cold read: what a disk can have in flight.
const READ_AHEAD: usize = 128;

/// Bytes fetched in one go.
const BATCH_BYTES: u64 = 1024 * 1024;

/// Where the record of a position lies.
pub(crate) struct Located {
    pub(crate) position: Position,
    /// The segment's place in the list of segments, from 1.
    pub(crate) segment: usize,
    pub(crate) location: Option<Location>,
}

/// Records that were fetched together.
#[derive(Default)]
pub(crate) struct Batch {
    /// The places in the list of records that it covers: from the first up to this.
    pub(crate) end: usize,
    bytes: Bytes,
    stretches: Vec<Stretch>,
    /// Less than half of the bytes were asked for.
    is_sparse: bool,
    /// The stretch that was looked at last: records are asked for in their order.
    current: usize,
}

/// A stretch of a segment that was read in one go.
struct Stretch {
    /// The records that lie in it, by their places in the list.
    records: Range<usize>,
    /// The segment's place in the list of segments.
    segment: usize,
    from: u64,
    end: u64,
    /// Where its bytes begin in those of the batch.
    begin: usize,
    outcome: io::Result<()>,
}

/// Why a record was not fetched.
pub(crate) enum Missing {
    /// The segment could not be read there.
    Unread(io::Error),
    Faulty(RecordFault),
}

impl Batch {
    /// Fetches what comes next in a list, in ascending or descending order of the positions.
    pub(crate) fn fetch(segments: &[Arc<Segment>], located: &[Located], from: usize) -> Batch {
        let mut bytes = Vec::new();
        let batch = Batch::fetch_into(segments, located, from, &mut bytes);
        Batch {
            bytes: bytes.into(),
            ..batch
        }
    }

    /// The same into a buffer, which may hold anything: the batch has no bytes of its own then.
    pub(crate) fn fetch_into(
        segments: &[Arc<Segment>],
        located: &[Located],
        from: usize,
        bytes: &mut Vec<u8>,
    ) -> Batch {
        let mut batch = Batch::plan(located, from);
        let length: u64 = batch.stretches.iter().map(|it| it.end - it.from).sum();
        let wanted = located[from..batch.end].iter();
        let wanted: u64 = wanted
            .filter_map(|it| Some(u64::from(it.location?.bytes)))
            .sum();
        batch.is_sparse = wanted * 2 < length;
        match bytes.capacity() < length as usize {
            // The system may have zeros at hand.
            true => *bytes = vec![0; length as usize],
            false => bytes.resize(length as usize, 0),
        }
        let mut asked_ahead = from;
        // One look at the clock a read, which is short where it is warm.
        let mut began = Instant::now();
        for stretch in &mut batch.stretches {
            stretch.read(segments, bytes);
            let mut ended = Instant::now();
            let next = stretch.records.end;
            if ended - began > COLD_READ && next >= asked_ahead {
                asked_ahead = located.len().min(next + READ_AHEAD);
                ask_ahead(segments, &located[next..asked_ahead]);
                ended = Instant::now();
            }
            began = ended;
        }
        batch.read_apart(segments, located, bytes);
        batch
    }

    /// Which stretches are to be read.
    fn plan(located: &[Located], from: usize) -> Batch {
        let (mut stretches, mut begin, mut next) = (Vec::new(), 0, from);
        while let Some(first) = located.get(next)
            && begin < BATCH_BYTES as usize
        {
            let Some(location) = first.location else {
                next += 1;
                continue;
            };
            let (count, from, end) = neighbours(&located[next..], location);
            stretches.push(Stretch {
                records: next..next + count,
                segment: first.segment,
                from,
                end,
                begin,
                outcome: Ok(()),
            });
            begin += (end - from) as usize;
            next += count;
        }
        Batch {
            end: next,
            stretches,
            ..Batch::default()
        }
    }

    /// Reads the records of stretches that could not be read one by one: a bad sector must not
    /// take its neighbours with it.
    fn read_apart(&mut self, segments: &[Arc<Segment>], located: &[Located], bytes: &mut [u8]) {
        let is_whole = |it: &Stretch| it.outcome.is_ok() || it.records.len() == 1;
        if self.stretches.iter().all(is_whole) {
            return;
        }
        for stretch in std::mem::take(&mut self.stretches) {
            if is_whole(&stretch) {
                self.stretches.push(stretch);
                continue;
            }
            for nth in stretch.records {
                let Some(location) = located[nth].location else {
                    continue;
                };
                let from = u64::from(location.offset);
                let mut alone = Stretch {
                    records: nth..nth + 1,
                    segment: stretch.segment,
                    from,
                    end: from + u64::from(location.bytes),
                    begin: stretch.begin + (from - stretch.from) as usize,
                    outcome: Ok(()),
                };
                alone.read(segments, bytes);
                self.stretches.push(alone);
            }
        }
    }

    /// Where the bytes of a record of the list lie, which has a location and is of the batch.
    pub(crate) fn place(
        &mut self,
        nth: usize,
        location: Location,
    ) -> Result<Range<usize>, Missing> {
        while self.stretches[self.current].records.end <= nth {
            self.current += 1;
        }
        let stretch = &self.stretches[self.current];
        if let Err(error) = &stretch.outcome {
            return Err(Missing::Unread(error.kind().into()));
        }
        let from = stretch.begin + (u64::from(location.offset) - stretch.from) as usize;
        Ok(from..from + location.bytes as usize)
    }

    /// The event of such a record.
    #[inline(always)]
    pub(crate) fn event(
        &mut self,
        nth: usize,
        located: &Located,
        location: Location,
        log_id: LogId,
        names: &mut Names,
    ) -> Result<RecordedEvent, Missing> {
        let place = self.place(nth, location)?;
        // Else a small event would keep all of what was read with it.
        let copy = match self.is_sparse {
            true => Some(Bytes::copy_from_slice(&self.bytes[place.clone()])),
            false => None,
        };
        let (record, kept) = match &copy {
            Some(copy) => (&copy[..], copy),
            None => (&self.bytes[place], &self.bytes),
        };
        let view = record::decode(record, log_id, located.position).map_err(Missing::Faulty)?;
        let event = view.to_event(kept, located.position, names);
        event.ok_or(Missing::Faulty(RecordFault::Unknown))
    }
}

impl Stretch {
    fn read(&mut self, segments: &[Arc<Segment>], bytes: &mut [u8]) {
        let segment = self.segment.checked_sub(1).and_then(|at| segments.get(at));
        let length = (self.end - self.from) as usize;
        let place = &mut bytes[self.begin..self.begin + length];
        self.outcome = match segment {
            None => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(segment) => match segment.file.read_at(place, self.from) {
                Ok(filled) if filled == length => Ok(()),
                Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => Err(error),
            },
        };
    }
}

/// Has the disk begin to read what is fetched next.
fn ask_ahead(segments: &[Arc<Segment>], located: &[Located]) {
    for next in located {
        let segment = next.segment.checked_sub(1).and_then(|at| segments.get(at));
        if let (Some(segment), Some(location)) = (segment, next.location) {
            let (offset, bytes) = (location.offset.into(), location.bytes.into());
            segment.file.will_read(offset, bytes);
        }
    }
}

/// How many of the records lie close enough to the first to be read with it, and the stretch
/// of the file that they lie in.
fn neighbours(located: &[Located], first: Location) -> (usize, u64, u64) {
    let mut from = u64::from(first.offset);
    let mut end = from + u64::from(first.bytes);
    let mut run = 1;
    for next in &located[1..] {
        let Some(location) = next.location else { break };
        let next_from = u64::from(location.offset);
        let next_end = next_from + u64::from(location.bytes);
        let (all_from, all_end) = (from.min(next_from), end.max(next_end));
        let gap = next_from
            .saturating_sub(end)
            .max(from.saturating_sub(next_end));
        let is_beside = next.segment == located[0].segment && gap <= SKIP_BYTES;
        if !is_beside || all_end - all_from > BATCH_BYTES {
            break;
        }
        (from, end) = (all_from, all_end);
        run += 1;
    }
    (run, from, end)
}
