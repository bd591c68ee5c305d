//! Runs of arbitrary bytes: whatever a file holds, also under checksums that fit, asking it
//! ends, without a panic and without memory that a length asks for.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use retold_core::{StreamId, Text, Timestamp};
use uuid::Uuid;

use super::page;
use super::*;
use crate::disk::sim::SimDisk;
use crate::disk::{Access, Disk};
use crate::index::{Anchor, Index, IndexEntry};
use crate::options::IndexOptions;

const PAGE_BYTES: usize = PAGE_BYTES_MIN as usize;

fn entry(position: Position) -> IndexEntry {
    IndexEntry {
        position,
        location: Location {
            offset: position as u32 * 100,
            bytes: 100,
        },
        event_id: Uuid::from_u128(position.into()),
        stream: StreamId::new("Issue", format!("{}", position % 7)).unwrap(),
        sequence_number: (position - 1) / 7 + 1,
        correlation_id: Text::from(format!("c{}", position % 5)),
        tags: Vec::new(),
        timestamp: Timestamp::from_micros(position as i64).unwrap(),
        persisted_at: Timestamp::from_micros(position as i64).unwrap(),
    }
}

/// A run of a few hundred events, and its bytes.
fn run() -> (Arc<Run>, Vec<u8>) {
    let disk = SimDisk::default();
    let begin = Anchor {
        segment: 1,
        frame: 0,
        offset: 128,
        next_position: 1,
        epoch: 0,
        previous: [1; 32],
    };
    let end = Anchor {
        frame: 128,
        offset: 4096,
        next_position: 301,
        ..begin
    };
    let settings = IndexOptions {
        memory_events: 300,
        page_bytes: PAGE_BYTES_MIN,
        ..IndexOptions::default()
    };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let writes_to = Some((shared, Path::new("/store")));
    let index = Index::new(Uuid::from_u128(7), [3; 16], settings, begin, writes_to);
    let entries: Vec<IndexEntry> = (1..=300).map(entry).collect();
    index.insert(&entries);
    index.show(Some(&end), &index.facts());
    let run = index.flush(&index.oldest_full_table().unwrap(), true);
    let run = run.unwrap();
    let path = Path::new("/store/index").join(&run.name);
    let bytes = disk.content(path).unwrap();
    (run, bytes)
}

/// The run that a file holds, if its header says that it is one.
fn opened(bytes: &[u8]) -> Option<Run> {
    let header = Header::decode(bytes)?;
    let disk = SimDisk::default();
    disk.tamper("/run", bytes.to_vec());
    let file = disk.open(Path::new("/run"), Access::Read).unwrap();
    let cache = Arc::new(PageCache::new(1 << 16, PAGE_BYTES_MIN));
    Some(Run::new(0, "run".into(), header, file, cache))
}

/// Asks everything, and merges the run with itself.
fn ask_all(run: Run) {
    let reach = Reach::Disk;
    let key = |bits: u64| u128::from(bits) << 64 | u128::from(bits);
    for bits in [0, 1 << 20, u64::MAX / 3, u64::MAX / 2, u64::MAX] {
        let _ = found(&run, Uuid::from_u128(bits.into()), bits >> 16);
        let _ = run.postings(bits >> 16, bits % 300, 10, reach);
        if let Ok(Some(span)) = run.span(key(bits), None, reach) {
            let _ = run.stream_positions(&span, 0, 300, reach);
            let _ = run.count_through(&span, bits % 300, reach);
        }
    }
    for at in [0, 1, 50] {
        let span = Span {
            first_sequence: 1,
            count: 40,
            start: at,
            last: 300,
        };
        let _ = run.stream_positions(&span, 0, 300, reach);
        let _ = run.count_through(&span, 150, reach);
    }
    for position in [run.first(), run.first() + 150, run.last()] {
        let _ = run.location(position, reach, &mut run.hold());
        let _ = run.block(position, reach);
    }
    let from = StreamId::new("Issue", "3").unwrap();
    let _ = run.names(Bound::Included(&from), 10, reach);
    let _ = run.names(Bound::Unbounded, 10, reach);
    let _ = run.facts();
    let run = Arc::new(run);
    let source = Merged(vec![Arc::clone(&run), run].into());
    let disk = SimDisk::default();
    let file = disk.open(Path::new("/merged"), Access::Replace).unwrap();
    let mut building = Building::new(Arc::new(source), file, false);
    while let Ok(false) = building.advance(1 << 16) {}
}

fn found(run: &Run, event_id: Uuid, hash: ShortHash) -> Result<Vec<(usize, Position)>, Fault> {
    let asked = AskedId {
        key: FilterKey::new(hash),
        event_id,
        place: 0,
    };
    let mut found = Vec::new();
    run.find_ids(&[asked], None, Reach::Disk, &mut found)?;
    Ok(found)
}

#[test]
fn a_run_answers_what_was_put_into_it() {
    let (run, bytes) = run();
    assert_eq!(bytes.len() as u64, run.bytes());
    let reach = Reach::Disk;
    let keys = crate::index::Keys::new(run.header.secret);
    for position in 1..=300 {
        let entry = entry(position);
        let location = run.location(position, reach, &mut run.hold());
        assert_eq!(location, Ok(Some(entry.location)));
        let hash = keys.event(&entry.event_id);
        let found = found(&run, entry.event_id, hash);
        assert_eq!(found, Ok(vec![(0, position)]));
        let span = run
            .span(keys.stream(&entry.stream), None, reach)
            .unwrap()
            .unwrap();
        assert_eq!(span.first_sequence, 1);
        let nth = entry.sequence_number as u32 - 1;
        let listed = run.stream_positions(&span, nth, 1, reach);
        assert_eq!(listed, Ok(vec![Some(position)]));
        let counted = run.count_through(&span, position, reach);
        assert_eq!(counted, Ok(nth + 1));
    }
    assert_eq!(run.names(Bound::Unbounded, 100, reach).unwrap().len(), 7);
    ask_all(opened(&bytes).unwrap());
}

#[test]
fn any_flipped_bit_of_a_header_is_noticed() {
    let (_, bytes) = run();
    for bit in 0..HEADER_BYTES * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::decode(&flipped).is_none(), "bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Numbers of the header are changed at will, and its checksum fits.
    #[test]
    fn headers_of_arbitrary_numbers_are_survived(
        changes in proptest::collection::vec((12..HEADER_BYTES - 8, any::<u64>(), 0..8_u32), 1..4),
    ) {
        let (_, mut bytes) = run();
        for (at, number, shift) in changes {
            let number = number >> (shift * 8);
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&bytes[12..HEADER_BYTES]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        if let Some(run) = opened(&bytes) {
            ask_all(run);
        }
    }

    /// Pages hold anything, and their checksums fit.
    #[test]
    fn pages_of_arbitrary_bytes_are_survived(
        noise in proptest::collection::vec((any::<usize>(), any::<u64>()), 1..60),
    ) {
        let (run, mut bytes) = run();
        let pages = bytes.len() / PAGE_BYTES;
        for (place, number) in noise {
            let page = 1 + place % (pages - 1);
            let at = page * PAGE_BYTES + (place / pages) % (PAGE_BYTES - 12);
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        for (number, page) in bytes.chunks_exact_mut(PAGE_BYTES).enumerate().skip(1) {
            page::seal(page, run.header.binding(), number as u32);
        }
        ask_all(opened(&bytes).unwrap());
    }
}
