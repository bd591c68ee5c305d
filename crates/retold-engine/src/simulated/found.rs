//! What the simulator found, each told as a small story.

use retold_core::{Append, Entry, Error};

use super::{
    Engine, FOLDER, check_events, event, frames, is_corrupt, one, options, segment, verified,
};
use crate::disk::sim::{Call, SimDisk};
use crate::log::frame::HEADER_BYTES;
use crate::recover::recover_as;
use crate::{EngineStore, Remedy, recover_on};

fn accept_damage(disk: &SimDisk) -> crate::Recovered {
    recover_on(
        std::sync::Arc::new(disk.clone()),
        FOLDER,
        Remedy::AcceptDamage,
    )
    .unwrap()
}

/// A process was killed between giving a new segment its name and syncing the folder. The next
/// one found the name in the cache, let HEAD name the segment and acknowledged what it wrote
/// there; then the power failed, and the segment with all of it was gone. Opening now syncs the
/// folder before anything is appended.
#[test]
fn a_segment_that_a_killed_process_began_keeps_its_name() {
    let counted = SimDisk::default();
    let mut engine = Engine::open(&counted).unwrap();
    engine.append(one(&event("a", &"x".repeat(1_900)))).unwrap();
    let before = counted.calls();
    engine.append(one(&event("a", &"x".repeat(1_900)))).unwrap();
    let mut begun = 0;
    for step in before + 1..=counted.calls() {
        let disk = SimDisk::default();
        let (mut acknowledged, mut sent) = (Vec::new(), Vec::new());
        let mut engine = Engine::open(&disk).unwrap();
        for _ in 0..2 {
            let large = event("a", &"x".repeat(1_900));
            sent.push(large.clone());
            acknowledged.extend(
                engine
                    .append(one(&large))
                    .into_iter()
                    .flat_map(|ok| ok.events),
            );
            disk.halt_at(step);
        }
        drop(engine);
        disk.kill();
        let mut engine = Engine::open(&disk).unwrap();
        begun += usize::from(disk.content(segment(2)).is_some() && acknowledged.len() == 1);
        let small = event("b", "small");
        sent.push(small.clone());
        acknowledged.extend(engine.append(one(&small)).unwrap().events);
        drop(engine);
        // Of the names, nothing that is not synced survives this seed.
        disk.cut_power(3);
        let engine = Engine::open(&disk).unwrap();
        assert!(
            engine.store.refusal().is_none(),
            "step {step}: {:?}",
            engine.store.refusal()
        );
        check_events(&engine.events(), &acknowledged, &sent);
    }
    assert!(
        begun > 0,
        "no step lies between the name and the first frame"
    );
}

/// The last frame of a sealed segment has no frame behind it that says where it ends. A bad
/// record in it once took all records behind it along.
#[test]
fn a_damaged_record_in_the_last_frame_of_a_segment_is_lost_alone() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    let batch = (0..4).map(|nth| event(&format!("{nth}"), "x")).collect();
    engine.append(Append::new(batch)).unwrap();
    engine
        .append(one(&event("next", &"x".repeat(2_000))))
        .unwrap();
    engine.mark();
    drop(engine);
    assert!(verified(&disk).segments >= 2, "the batch ends its segment");
    let mut content = disk.content(segment(1)).unwrap();
    let record = frames(&content)[1] + HEADER_BYTES;
    content[record + 20] ^= 1;
    disk.tamper(segment(1), content);
    assert_eq!(verified(&disk).damage[0].lost, [(1, 1)]);
    assert_eq!(accept_damage(&disk).lost.len(), 1);
    let entries = Engine::open(&disk).unwrap().entries().unwrap();
    let lost = entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Lost(_)));
    assert_eq!((entries.len(), lost.count()), (5, 1));
}

/// A lost event was accepted with its id and stream. Other damage that hid the same record
/// later was accepted without them, and a retry of the lost event was written again.
#[test]
fn what_is_known_of_a_lost_event_outlives_another_decision() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    let lost = event("a", "lost");
    engine.append(one(&lost)).unwrap();
    engine.append(one(&event("b", "kept"))).unwrap();
    engine.mark();
    drop(engine);
    let mut content = disk.content(segment(1)).unwrap();
    let frame = frames(&content)[1];
    let length = u32::from_le_bytes(content[frame + 16..frame + 20].try_into().unwrap());
    // The last byte of the payload, then the header as well.
    content[frame + length as usize - 6] ^= 1;
    disk.tamper(segment(1), content.clone());
    let known = accept_damage(&disk).lost[0].clone();
    assert_eq!(known.event_id, Some(lost.metadata.event_id));
    let mut content = disk.content(segment(1)).unwrap();
    content[frame + 20] ^= 1;
    disk.tamper(segment(1), content);
    if !verified(&disk).damage.is_empty() {
        accept_damage(&disk);
    }
    let mut engine = Engine::open(&disk).unwrap();
    assert_eq!(engine.entries().unwrap()[0], Entry::Lost(known));
    is_corrupt(engine.append(one(&lost)));
}

/// The newest segment was missing, and there was damage elsewhere. The damage was accepted
/// first, and the decision did not fit the newest segment that was left: the one that was begun
/// for it had the name of the missing one, HEAD named it, and the loss was forgotten. Decisions
/// begin no segments any more.
#[test]
fn a_decision_does_not_take_the_place_of_a_missing_segment() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    for _ in 0..3 {
        let large = event("a", &"x".repeat(1_500));
        engine.append(one(&large)).unwrap();
    }
    engine.mark();
    drop(engine);
    disk.lose(segment(3));
    let mut content = disk.content(segment(1)).unwrap();
    let record = frames(&content)[1] + HEADER_BYTES;
    content[record + 20] ^= 1;
    disk.tamper(segment(1), content);
    let shared = std::sync::Arc::new(disk.clone());
    let remedy = Remedy::AcceptDamage;
    recover_as(shared, FOLDER.as_ref(), remedy, &options()).unwrap();
    assert!(verified(&disk).lost_tail.is_some());
    let mut engine = Engine::open(&disk).unwrap();
    is_corrupt(engine.append(one(&event("b", "refused"))));
}

/// HEAD lay in a sector that could not be read, and the store did not open at all, not even
/// for reading. It counts as damaged now, as the sectors of segments do.
#[test]
fn a_head_that_cannot_be_read_is_reported_as_damaged() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    engine.append(one(&event("a", "kept"))).unwrap();
    drop(engine);
    disk.fail_reads(format!("{FOLDER}/HEAD"), 0..10);
    let mut engine = Engine::open(&disk).unwrap();
    is_corrupt(engine.append(one(&event("a", "refused"))));
    assert_eq!(engine.events().len(), 1);
}

/// The end of the newest segment could not be read. Accepted as damage, it looked like room
/// that nobody had used, and the decision itself was written over it. What can be read of it
/// is moved aside now.
#[test]
fn what_cannot_be_read_at_the_end_is_not_written_over() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    engine.append(one(&event("a", &"x".repeat(300)))).unwrap();
    drop(engine);
    let content = disk.content(segment(1)).unwrap();
    let last = *frames(&content).last().unwrap();
    disk.fail_reads(segment(1), last as u64..last as u64 + 8);
    assert!(!verified(&disk).is_whole());
    accept_damage(&disk);
    assert_eq!(super::cut_files(&disk).len(), 1);
    let mut engine = Engine::open(&disk).unwrap();
    assert!(
        engine.store.refusal().is_none(),
        "{:?}",
        engine.store.refusal()
    );
    engine.append(one(&event("a", "goes on"))).unwrap();
}

/// A follower had read the end of a segment when it could not open the next one. It tried again
/// behind what it had read, and told of those events as lost.
#[test]
fn a_follower_that_cannot_open_a_segment_passes_nothing_over() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    engine.append(one(&event("a", "first"))).unwrap();
    let other = std::sync::Arc::new(disk.for_another_process());
    let (store, follower) =
        EngineStore::open_read_only_unstarted(other, FOLDER.into(), options()).unwrap();
    for _ in 0..3 {
        engine.append(one(&event("a", &"x".repeat(1_500)))).unwrap();
    }
    engine.mark();
    disk.fail_nth(Call::Open, 1, std::io::ErrorKind::Other);
    follower.look().unwrap_err();
    while follower.look().is_ok() {
        let visible = &store.shared().visible;
        let head = visible.head().position;
        (1..=head)
            .for_each(|position| assert_eq!(visible.event(position).unwrap().position, position));
        if head == 4 {
            return;
        }
    }
    panic!("the follower stopped");
}

/// The power failed while a run of the index lay in the cache only, of a log with accepted
/// losses. Its last event was compared with the head of its stream, which the torn run could
/// not tell; the event was left out, and its position given to another one.
#[test]
fn an_event_at_the_end_is_not_left_out_because_a_run_is_bad() {
    let disk = SimDisk::default();
    let mut few = options();
    few.index.memory_events = 4;
    few.segment_bytes_max = 1 << 20;
    let mut engine = Engine::open_with(&disk, few.clone()).unwrap();
    for id in ["a", "b", "c"] {
        engine.append(one(&event(id, "x"))).unwrap();
    }
    engine.mark();
    drop(engine);
    let mut content = disk.content(segment(1)).unwrap();
    let record = frames(&content)[2] + HEADER_BYTES;
    content[record + 20] ^= 1;
    disk.tamper(segment(1), content);
    accept_damage(&disk);
    let mut engine = Engine::open_with(&disk, few.clone()).unwrap();
    for nth in 0..6 {
        engine.append(one(&event("d", &format!("{nth}")))).unwrap();
    }
    engine.merge();
    let events = engine.entries().unwrap().len();
    drop(engine);
    let is_run = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "run");
    let runs: Vec<_> = disk.paths().into_iter().filter(is_run).collect();
    assert!(!runs.is_empty());
    for run in runs {
        let good = disk.content(&run).unwrap();
        for page in 0..good.len() / 1024 {
            let disk = super::copy(&disk);
            let mut torn = good.clone();
            torn[page * 1024..(page + 1) * 1024].fill(0);
            disk.tamper(&run, torn);
            let engine = Engine::open_with(&disk, few.clone()).unwrap();
            let head = engine.store.shared().visible.head().position;
            assert_eq!(head, events as u64, "{}, page {page}", run.display());
        }
    }
}

/// A torn write was to be moved aside on a disk that was full. The store told of an error of
/// the disk, where freeing some room is all that is needed.
#[test]
fn a_tail_that_finds_no_room_to_be_moved_to_is_answered_with_full() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    engine.append(one(&event("a", "kept"))).unwrap();
    engine.append(one(&event("a", "torn"))).unwrap();
    drop(engine);
    let mut content = disk.content(segment(1)).unwrap();
    let last = *frames(&content).last().unwrap();
    content.truncate(last + 60);
    disk.tamper(segment(1), content);
    disk.set_room(Some(0));
    let mut engine = Engine::open(&disk).unwrap();
    let refused = engine.append(one(&event("a", "refused")));
    assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
    drop(engine);
    disk.set_room(None);
    let mut engine = Engine::open(&disk).unwrap();
    engine.append(one(&event("a", "goes on"))).unwrap();
    assert_eq!(engine.events().len(), 2);
}
