//! Damage to what was durable: reported, never repaired by deleting, and lived with once an
//! operator has accepted it.

use std::io;

use retold_core::{
    Append, Checkpoint, Entry, Error, EventStore, Expected, LogQuery, RecordedEvent, StreamQuery,
};

use super::{
    Engine, check_events, copy, event, frame_bytes, frames, is_corrupt, one, options, segment,
    stream, verified,
};
use crate::disk::sim::SimDisk;
use crate::{Options, Remedy, recover_on};

/// Four events of four streams in one segment, vouched for by a mark.
fn four_events(disk: &SimDisk) -> Vec<RecordedEvent> {
    let mut engine = Engine::open(disk).unwrap();
    let mut events = Vec::new();
    for id in ["a", "b", "c", "d"] {
        events.extend(engine.append(one(&event(id, "something"))).unwrap().events);
    }
    engine.mark();
    events
}

fn recover(disk: &SimDisk, remedy: Remedy) -> Result<crate::Recovered, Error> {
    recover_on(std::sync::Arc::new(disk.clone()), super::FOLDER, remedy)
}

#[test]
fn any_flipped_bit_of_a_frame_is_reported_and_loses_one_event_at_most() {
    let disk = SimDisk::default();
    let events = four_events(&disk);
    let content = disk.content(segment(1)).unwrap();
    let frames = frames(&content);
    // The mark of opening, then one frame for each event; the second event's is damaged.
    let (from, end) = (frames[2], frames[3]);
    for bit in from * 8..(from + frame_bytes(&content, from)) * 8 {
        let disk = copy(&disk);
        let mut flipped = content.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        disk.tamper(segment(1), flipped.clone());
        let report = verified(&disk);
        assert_eq!(report.damage.len(), 1, "bit {bit}");
        let damage = &report.damage[0];
        assert_eq!(damage.offset, from as u64);
        assert!(
            damage.lost.is_empty() || damage.lost == [(2, 2)],
            "bit {bit}: {damage:?}"
        );
        let mut engine = Engine::open(&disk).unwrap();
        is_corrupt(engine.append(one(&event("z", "refused"))));
        for event in &events {
            let read = engine.drive_read(event.metadata.event_id);
            match damage.lost.contains(&(event.position, event.position)) {
                true => assert!(matches!(read, Ok(None) | Err(Error::Corrupt { .. }))),
                false => assert_eq!(read.unwrap().as_ref(), Some(event), "bit {bit}"),
            }
        }
        drop(engine);
        assert_eq!(
            disk.content(segment(1)).unwrap()[..flipped.len()],
            flipped[..],
            "nothing is mended"
        );
    }
    assert!(end - from > 150);
}

#[test]
fn accepted_damage_is_delivered_as_lost_and_the_rest_goes_on() {
    let disk = SimDisk::default();
    let events = four_events(&disk);
    let mut content = disk.content(segment(1)).unwrap();
    let record = frames(&content)[2] + crate::log::frame::HEADER_BYTES;
    // The last byte of the payload: the record still says which event it was.
    let length = u32::from_le_bytes(content[record..record + 4].try_into().unwrap());
    content[record + length as usize - 2] ^= 1;
    disk.tamper(segment(1), content);
    let log_id = verified(&disk).log_id;
    let recovered = recover(&disk, Remedy::AcceptDamage).unwrap();
    assert_eq!(recovered.log_id, log_id);
    let [lost] = &recovered.lost[..] else {
        panic!("{recovered:?}")
    };
    assert_eq!(lost.position, 2);
    assert_eq!(lost.stream, Some(stream("b")));
    assert_eq!(lost.event_id, Some(events[1].metadata.event_id));
    assert!(matches!(
        recover(&disk, Remedy::AcceptDamage),
        Err(Error::NotFound { .. })
    ));
    for _ in 0..2 {
        let mut engine = Engine::open(&disk).unwrap();
        assert!(
            engine.store.refusal().is_none(),
            "{:?}",
            engine.store.refusal()
        );
        let entries = engine.entries().unwrap();
        assert!(matches!(&entries[1], Entry::Lost(found) if found == lost));
        assert_eq!(entries[0], Entry::Event(events[0].clone()));
        assert_eq!(entries[2], Entry::Event(events[2].clone()));
        engine.append(one(&event("c", "goes on"))).unwrap();
        is_corrupt(engine.append(one(&event("b", "on what?"))));
        is_corrupt(
            engine.append(Append::new(vec![event("e", "x")]).expect(stream("b"), Expected::Any)),
        );
        let retry = retold_core::NewEvent::clone(&events[1].clone().into_new());
        is_corrupt(engine.append(one(&retry)));
        let page = engine
            .store
            .shared()
            .visible
            .read_stream(&StreamQuery::new(stream("b")))
            .unwrap();
        assert!(matches!(&page.entries[..], [Entry::Lost(found)] if found == lost));
        is_corrupt(page.into_events());
        engine.mark();
    }
    let report = verified(&disk);
    assert!(report.damage.is_empty() && report.accepted.len() == 1 && !report.is_whole());
}

#[test]
fn damage_that_appears_while_the_log_is_open_concerns_its_event_only() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    let first = engine
        .append(one(&event("a", "first")))
        .unwrap()
        .events
        .remove(0);
    let second = engine
        .append(one(&event("b", "second")))
        .unwrap()
        .events
        .remove(0);
    let mut content = disk.content(segment(1)).unwrap();
    let at = content
        .windows(5)
        .position(|bytes| bytes == b"first")
        .unwrap();
    content[at] = b'F';
    disk.tamper(segment(1), content);
    is_corrupt(engine.drive_read(first.metadata.event_id));
    // Whether a retry is one cannot be decided without the record.
    is_corrupt(engine.append(one(&first.clone().into_new())));
    assert_eq!(
        engine.drive_read(second.metadata.event_id).unwrap(),
        Some(second.clone())
    );
    assert!(!engine.append(one(&second.into_new())).unwrap().is_new);
    engine
        .append(one(&event("a", "the index is whole")))
        .unwrap();
    is_corrupt(engine.entries());
}

/// Enough events to fill three segments.
fn three_segments(disk: &SimDisk) -> (Vec<RecordedEvent>, Vec<u64>) {
    let mut engine = Engine::open(disk).unwrap();
    let mut events = Vec::new();
    for nth in 0..16 {
        let event = event(&format!("{nth}"), &"x".repeat(80));
        events.extend(engine.append(one(&event)).unwrap().events);
    }
    engine.mark();
    drop(engine);
    let names = disk.paths();
    let positions = names.iter().filter_map(|path| path.file_name()?.to_str());
    let positions: Vec<u64> = positions
        .filter_map(crate::log::segment::position_of)
        .collect();
    assert!(positions.len() >= 3, "{positions:?}");
    (events, positions)
}

#[test]
fn a_missing_segment_is_reported_first_middle_and_last() {
    let disk = SimDisk::default();
    let (events, positions) = three_segments(&disk);
    let last = positions.len() - 1;
    for missing in 0..=last {
        let disk = copy(&disk);
        disk.lose(segment(positions[missing]));
        let mut engine = Engine::open(&disk).unwrap();
        is_corrupt(engine.append(one(&event("z", "refused"))));
        let end = positions.get(missing + 1).copied().unwrap_or(u64::MAX);
        let is_missing =
            |event: &RecordedEvent| (positions[missing]..end).contains(&event.position);
        for event in &events {
            let read = engine.drive_read(event.metadata.event_id).unwrap();
            assert_eq!(read.is_none(), is_missing(event));
        }
        drop(engine);
        let report = verified(&disk);
        let wrong = recover(
            &disk,
            if missing == last {
                Remedy::AcceptDamage
            } else {
                loss(Vec::new())
            },
        );
        assert!(matches!(wrong, Err(Error::NotFound { .. })), "{wrong:?}");
        if missing == last {
            assert!(report.lost_tail.is_some() && report.damage.is_empty());
            let recovered = recover(&disk, loss(Vec::new())).unwrap();
            assert_ne!(recovered.log_id, report.log_id);
            assert_eq!(recovered.head, positions[last] - 1);
        } else {
            assert_eq!(report.damage[0].lost, [(positions[missing], end - 1)]);
            let recovered = recover(&disk, Remedy::AcceptDamage).unwrap();
            assert_eq!(recovered.lost.len() as u64, end - positions[missing]);
        }
        let mut engine = Engine::open(&disk).unwrap();
        assert!(
            engine.store.refusal().is_none(),
            "{:?}",
            engine.store.refusal()
        );
        engine.append(one(&event("new", "goes on"))).unwrap();
        let lost = |entry: &&Entry| matches!(entry, Entry::Lost(_));
        let entries = engine.entries().unwrap();
        let expected = if missing == last {
            0
        } else {
            end - positions[missing]
        };
        assert_eq!(entries.iter().filter(lost).count() as u64, expected);
    }
}

#[test]
fn damaged_headers_of_segments_and_a_damaged_head_are_reported() {
    let disk = SimDisk::default();
    let (events, positions) = three_segments(&disk);
    for position in &positions {
        for byte in [0, 9, 12, 20, 33, 60, 70, 100] {
            let disk = copy(&disk);
            let mut content = disk.content(segment(*position)).unwrap();
            content[byte] ^= 4;
            disk.tamper(segment(*position), content);
            let report = verified(&disk);
            assert_eq!(report.damage.len(), 1, "byte {byte}: {report:?}");
            assert!(report.damage[0].lost.is_empty());
            let mut engine = Engine::open(&disk).unwrap();
            check_events(&engine.events(), &events, &sent(&events));
            is_corrupt(engine.append(one(&event("z", "refused"))));
            drop(engine);
            recover(&disk, Remedy::AcceptDamage).unwrap();
            let mut engine = Engine::open(&disk).unwrap();
            engine.append(one(&event("z", "goes on"))).unwrap();
        }
    }
    for damaged in [None, Some(Vec::new()), Some(b"retold 1\n".to_vec())] {
        let disk = copy(&disk);
        let head = format!("{}/HEAD", super::FOLDER);
        match damaged {
            Some(content) => disk.tamper(head, content),
            None => disk.lose(head),
        }
        let mut engine = Engine::open(&disk).unwrap();
        check_events(&engine.events(), &events, &sent(&events));
        is_corrupt(engine.append(one(&event("z", "refused"))));
        drop(engine);
        recover(&disk, loss(Vec::new())).unwrap();
        assert!(Engine::open(&disk).unwrap().store.refusal().is_none());
    }
}

fn sent(events: &[RecordedEvent]) -> Vec<retold_core::NewEvent> {
    events
        .iter()
        .cloned()
        .map(RecordedEvent::into_new)
        .collect()
}

fn loss(evidence: Vec<Checkpoint>) -> Remedy {
    Remedy::AcceptLoss {
        reason: "an older copy was restored".into(),
        evidence,
    }
}

#[test]
fn a_log_that_is_behind_what_was_derived_from_it_refuses_appends() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    engine.append(one(&event("a", "kept"))).unwrap();
    engine.mark();
    let older = copy(&disk);
    let lost = engine
        .append(one(&event("a", "lost")))
        .unwrap()
        .events
        .remove(0);
    let log_id = engine.store.log_id();
    let ahead = Checkpoint {
        log_id,
        position: 2,
        event_id: lost.metadata.event_id,
    };
    let same = |evidence| Options {
        evidence,
        ..options()
    };
    drop(engine);
    assert!(
        Engine::open_with(&disk, same(vec![ahead]))
            .unwrap()
            .store
            .refusal()
            .is_none()
    );

    let foreign = Checkpoint {
        log_id: uuid::Uuid::from_u128(99),
        position: 1,
        ..ahead
    };
    let changed = Checkpoint {
        position: 1,
        ..ahead
    };
    for evidence in [ahead, foreign, changed] {
        let disk = copy(&older);
        let mut engine = Engine::open_with(&disk, same(vec![evidence])).unwrap();
        is_corrupt(engine.append(one(&event("b", "refused"))));
        assert_eq!(engine.events().len(), 1);
        drop(engine);
        let recovered = recover(&disk, loss(vec![evidence])).unwrap();
        assert_ne!(recovered.log_id, log_id);
        let mut engine = Engine::open_with(&disk, same(vec![evidence])).unwrap();
        engine.append(one(&event("b", "another history"))).unwrap();
        assert_eq!(engine.store.log_id(), recovered.log_id);
        assert_eq!(engine.store.history()[1].from, 2);
        drop(engine);
        let stale = Checkpoint {
            position: 2,
            log_id,
            ..ahead
        };
        let reopened = Engine::open_with(&disk, same(vec![evidence, stale])).unwrap();
        assert_eq!(
            reopened.store.refusal().is_none(),
            evidence != foreign && evidence != changed
        );
    }
}

#[test]
fn a_tail_that_cannot_be_made_durable_is_not_read() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    engine.append(one(&event("a", "vouched for"))).unwrap();
    engine.append(one(&event("a", "not vouched for"))).unwrap();
    drop(engine);
    // Taking the lock makes the folder; then the tail is written again.
    disk.fail_call(disk.calls() + 2, io::ErrorKind::Other);
    let engine = Engine::open(&disk).unwrap();
    assert!(matches!(engine.store.refusal(), Some(Error::Io { .. })));
    assert_eq!(engine.events().len(), 1);
    drop(engine);
    assert_eq!(Engine::open(&disk).unwrap().events().len(), 2);
}

impl Engine {
    fn drive_read(&mut self, id: retold_core::EventId) -> Result<Option<RecordedEvent>, Error> {
        self.store.shared().visible.read_event(id)
    }
}

/// A record whose checksum fits but whose codec nobody here knows: a newer version wrote it.
/// It was once taken for damage, or cut off as an unfinished write.
#[test]
fn what_a_newer_version_wrote_is_left_alone() {
    let disk = SimDisk::default();
    four_events(&disk);
    let content = disk.content(segment(1)).unwrap();
    for frame in [2, frames(&content).len() - 2] {
        let disk = copy(&disk);
        let mut content = content.clone();
        let record = frames(&content)[frame] + crate::log::frame::HEADER_BYTES;
        content[record + 8] = 1;
        let length = u32::from_le_bytes(content[record..record + 4].try_into().unwrap()) as usize;
        let position = frame as u64;
        let bound = crc32c::crc32c_append(
            crc32c::crc32c(uuid::Uuid::from_u128(7).as_bytes()),
            &position.to_le_bytes(),
        );
        let checksum = crc32c::crc32c_append(bound, &content[record + 8..record + length]);
        content[record + 4..record + 8].copy_from_slice(&checksum.to_le_bytes());
        disk.tamper(segment(1), content.clone());
        assert!(matches!(
            Engine::open(&disk),
            Err(Error::Unsupported { .. })
        ));
        assert_eq!(disk.content(segment(1)).unwrap(), content);
    }
}

/// The last frame of a segment is vouched for by the next segment's header alone.
#[test]
fn a_damaged_last_frame_of_a_segment_loses_one_event_at_most() {
    let disk = SimDisk::default();
    let (events, positions) = three_segments(&disk);
    let content = disk.content(segment(1)).unwrap();
    let from = *frames(&content).last().unwrap();
    let last = positions[1] - 1;
    for byte in from..from + frame_bytes(&content, from) {
        let disk = copy(&disk);
        let mut content = content.clone();
        content[byte] ^= 16;
        disk.tamper(segment(1), content);
        let report = verified(&disk);
        assert_eq!(report.damage.len(), 1, "byte {byte}");
        let lost = &report.damage[0].lost;
        assert!(
            lost.is_empty() || *lost == [(last, last)],
            "byte {byte}: {lost:?}"
        );
        let engine = Engine::open(&disk).unwrap();
        let next = &events[last as usize];
        assert_eq!(
            engine.store.shared().visible.event(last + 1).unwrap(),
            *next
        );
    }
}

/// A sector that cannot be read is how most disks show damage. It once kept the whole log
/// from being opened.
#[test]
fn an_unreadable_sector_concerns_its_events_only() {
    let disk = SimDisk::default();
    let events = four_events(&disk);
    let content = disk.content(segment(1)).unwrap();
    let (from, end) = (frames(&content)[2] as u64, frames(&content)[3] as u64);
    let beside = copy(&disk);
    beside.fail_reads(segment(1), from + 100..from + 110);
    let mut engine = Engine::open(&beside).unwrap();
    is_corrupt(engine.append(one(&event("z", "refused"))));
    drop(engine);
    assert!(!verified(&beside).is_whole());

    // Sectors are larger than the frames of this test: here a whole one fails, while open.
    let engine = Engine::open(&disk).unwrap();
    disk.fail_reads(segment(1), from..end);
    for event in &events {
        let read = engine.store.shared().visible.event(event.position);
        match event.position {
            2 => assert!(is_corrupt(read)),
            _ => assert_eq!(read.unwrap(), *event),
        }
    }
    let page = engine
        .store
        .shared()
        .visible
        .read_log(&LogQuery::after(0))
        .unwrap();
    assert_eq!(page.next, Some(1));
    is_corrupt(engine.store.shared().visible.read_log(&LogQuery::after(1)));
    let page = engine
        .store
        .shared()
        .visible
        .read_log(&LogQuery::after(2))
        .unwrap();
    assert_eq!(page.entries.len(), 2);
}

/// HEAD may be the only sign that a segment is missing: it must outlive a crash that comes
/// before the decision is durable, and a decision about something else.
#[test]
fn a_crash_while_a_loss_is_accepted_leaves_the_loss_known() {
    let disk = SimDisk::default();
    let (_, positions) = three_segments(&disk);
    let log_id = verified(&disk).log_id;
    disk.lose(segment(positions[positions.len() - 1]));
    let whole = copy(&disk);
    let before = whole.calls();
    recover(&whole, loss(Vec::new())).unwrap();
    for step in before + 1..=whole.calls() {
        for seed in 0..4 {
            let disk = copy(&disk);
            disk.halt_at(step);
            let _ = recover(&disk, loss(Vec::new()));
            disk.cut_power(seed);
            let engine = Engine::open(&disk).unwrap();
            let is_known = engine.store.refusal().is_some() || engine.store.log_id() != log_id;
            assert!(is_known, "step {step}, seed {seed}");
        }
    }
    let mut content = disk.content(segment(1)).unwrap();
    let record = frames(&content)[1] + crate::log::frame::HEADER_BYTES;
    content[record + 30] ^= 1;
    disk.tamper(segment(1), content);
    recover(&disk, Remedy::AcceptDamage).unwrap();
    assert!(verified(&disk).lost_tail.is_some());
    is_corrupt(
        Engine::open(&disk)
            .unwrap()
            .append(one(&event("z", "refused"))),
    );
}
