//! What the simulator found about logs with damage that an operator has accepted, each told as
//! a small story.

use std::path::PathBuf;
use std::sync::Arc;

use retold_core::{Append, Checkpoint, Entry};

use super::{Engine, FOLDER, event, frames, is_corrupt, one, options, segment, verified};
use crate::disk::sim::SimDisk;
use crate::log::frame::HEADER_BYTES;
use crate::recover::recover_as;
use crate::{Options, Recovered, Remedy};

/// Runs of three events.
fn few() -> Options {
    let mut few = options();
    few.index.memory_events = 3;
    few.index.page_bytes = 1024;
    few
}

fn accept_damage(disk: &SimDisk) -> Recovered {
    let disk = Arc::new(disk.clone());
    recover_as(disk, FOLDER.as_ref(), Remedy::AcceptDamage, &few()).unwrap()
}

fn accept_loss(disk: &SimDisk, evidence: Vec<Checkpoint>) -> Recovered {
    let mut options = few();
    options.log_id = Some(uuid::Uuid::from_u128(8));
    let remedy = Remedy::AcceptLoss {
        reason: "a test".to_owned(),
        evidence,
    };
    recover_as(Arc::new(disk.clone()), FOLDER.as_ref(), remedy, &options).unwrap()
}

fn runs(disk: &SimDisk) -> Vec<PathBuf> {
    let is_run = |path: &PathBuf| path.extension().is_some_and(|end| end == "run");
    disk.paths().into_iter().filter(is_run).collect()
}

/// A log of so many events of one stream, with an index.
fn filled(disk: &SimDisk, count: usize, bytes: usize) {
    let mut engine = Engine::open_with(disk, few()).unwrap();
    for _ in 0..count {
        engine.append(one(&event("a", &"x".repeat(bytes)))).unwrap();
    }
    engine.mark();
    engine.merge();
}

/// Flips a bit in the first record of a segment.
fn harm_an_event(disk: &SimDisk, first_position: u64) {
    let mut content = disk.content(segment(first_position)).unwrap();
    let holds_events = |frame: &&usize| content[**frame + 12] == 1;
    let frames = frames(&content);
    let events = frames.iter().find(holds_events).unwrap();
    let record = events + HEADER_BYTES;
    content[record + 20] ^= 1;
    disk.tamper(segment(first_position), content);
}

/// The index was removed when damage was accepted, but not durably. After a power cut some of
/// its runs were there again, and answered for events that were lost.
#[test]
fn a_removed_index_does_not_come_back() {
    for seed in 0..20 {
        let disk = SimDisk::default();
        filled(&disk, 7, 10);
        let before = runs(&disk);
        assert!(!before.is_empty());
        harm_an_event(&disk, 1);
        accept_damage(&disk);
        disk.cut_power(seed);
        let after = runs(&disk);
        assert!(after.iter().all(|run| !before.contains(run)), "seed {seed}");
    }
}

/// A run from before a loss was accepted lay between newer ones, as one does that was kept as
/// evidence. The stream that missed an event took appends.
#[test]
fn a_run_that_knows_a_lost_event_is_not_used() {
    let disk = SimDisk::default();
    filled(&disk, 3, 10);
    let [run] = &runs(&disk)[..] else {
        panic!("one run is made of three events");
    };
    let stale = disk.content(run).unwrap();
    harm_an_event(&disk, 1);
    accept_damage(&disk);
    filled_with_others(&disk);
    // It begins the log, and no other one does.
    let first = run.to_string_lossy()[..40].to_owned();
    for newer in runs(&disk) {
        if newer.to_string_lossy().starts_with(&first) {
            disk.lose(newer);
        }
    }
    disk.tamper(run, stale);
    let mut engine = Engine::open_with(&disk, few()).unwrap();
    is_corrupt(engine.append(one(&event("a", "goes on"))));
}

fn filled_with_others(disk: &SimDisk) {
    let mut engine = Engine::open_with(disk, few()).unwrap();
    for nth in 0..6 {
        engine.append(one(&event("b", &format!("{nth}")))).unwrap();
    }
    engine.mark();
    engine.merge();
}

/// A bad place was accepted, and grew later. The acceptance of a loss stood behind it and was
/// gone: the log had its old id again, and nobody was told.
#[test]
fn damage_that_grows_is_reported_again() {
    let disk = SimDisk::default();
    filled(&disk, 1, 10);
    disk.lose(format!("{FOLDER}/HEAD"));
    let forked = accept_loss(&disk, Vec::new()).log_id;
    let mut engine = Engine::open_with(&disk, few()).unwrap();
    for _ in 0..3 {
        let large = event("b", &"x".repeat(1_500));
        engine.append(one(&large)).unwrap();
    }
    engine.mark();
    drop(engine);
    harm_an_event(&disk, 1);
    accept_damage(&disk);
    let before = verified(&disk);
    assert_eq!((before.damage.len(), before.log_id), (0, forked));
    let mut content = disk.content(segment(1)).unwrap();
    for frame in &frames(&content)[1..] {
        content[frame + 20] ^= 1;
    }
    disk.tamper(segment(1), content);
    assert_eq!(verified(&disk).damage.len(), 1);
}

/// A decision was lost with its segment, and with it the id of an event that it had named: a
/// later decision had not repeated it.
#[test]
fn a_decision_repeats_what_was_accepted_before() {
    let disk = SimDisk::default();
    filled(&disk, 1, 10);
    harm_an_event(&disk, 1);
    let known = accept_damage(&disk).lost;
    assert!(known[0].event_id.is_some());
    let mut engine = Engine::open_with(&disk, few()).unwrap();
    for _ in 0..3 {
        let large = event("b", &"x".repeat(1_500));
        engine.append(one(&large)).unwrap();
    }
    engine.mark();
    drop(engine);
    harm_an_event(&disk, 3);
    accept_damage(&disk);
    disk.lose(segment(1));
    assert_eq!(accept_damage(&disk).lost[0], known[0]);
}

/// A sector could not be read. Its damage was named after the place from where it was read:
/// accepted when the whole log was read, it was refused when reading began behind a run.
#[test]
fn an_unreadable_sector_has_the_same_name_from_wherever_it_is_read() {
    let disk = SimDisk::default();
    let mut large = few();
    large.segment_bytes_max = 1 << 20;
    large.index.memory_events = 8;
    let mut engine = Engine::open_with(&disk, large.clone()).unwrap();
    for nth in 0..14 {
        let id = format!("{nth}");
        engine.append(one(&event(&id, &"x".repeat(900)))).unwrap();
    }
    engine.mark();
    drop(engine);
    disk.fail_reads(segment(1), 11_000..11_064);
    accept_damage(&disk);
    for _ in 0..3 {
        let mut engine = Engine::open_with(&disk, large.clone()).unwrap();
        let appended = engine.append(one(&event("other", "x")));
        assert!(appended.is_ok(), "{appended:?}");
        engine.mark();
        engine.merge();
    }
    assert_eq!(runs(&disk).len(), 1, "none that ends before the sector");
}

/// The first unreadable sector of a segment was accepted. A second one, at the end of the log,
/// looked like room that nobody had used, and what stood there was forgotten.
#[test]
fn a_second_unreadable_sector_is_reported_too() {
    let disk = SimDisk::default();
    let mut large = few();
    large.segment_bytes_max = 1 << 20;
    let mut engine = Engine::open_with(&disk, large.clone()).unwrap();
    for nth in 0..14 {
        let id = format!("{nth}");
        engine.append(one(&event(&id, &"x".repeat(900)))).unwrap();
    }
    engine.mark();
    drop(engine);
    disk.fail_reads(segment(1), 5_000..5_064);
    accept_damage(&disk);
    let mut engine = Engine::open_with(&disk, large).unwrap();
    for nth in 0..8 {
        let id = format!("later {nth}");
        engine.append(one(&event(&id, &"x".repeat(900)))).unwrap();
    }
    drop(engine);
    let length = disk.content(segment(1)).unwrap().len() as u64;
    let last = (length - 1) / 4_096 * 4_096;
    disk.fail_reads(segment(1), last..length);
    assert!(!verified(&disk).damage.is_empty());
}

/// A run was mended from the log, and took up what was decided about the log later than what it
/// held. The decision was lost with its segment, and the run still spoke of it.
#[test]
fn a_mended_run_does_not_know_what_comes_later() {
    let disk = SimDisk::default();
    filled(&disk, 3, 10);
    let before = disk.content(segment(1)).unwrap();
    disk.lose(format!("{FOLDER}/HEAD"));
    let forked = accept_loss(&disk, Vec::new()).log_id;
    let run = runs(&disk).remove(0);
    let engine = Engine::open_with(&disk, few()).unwrap();
    assert_eq!(engine.store.shared().visible.eras().len(), 2);
    let mut content = disk.content(&run).unwrap();
    content[1024..].fill(0);
    disk.tamper(&run, content);
    assert_eq!(engine.events().len(), 3);
    let mended = engine.store.shared().visible.index().statistics().mended;
    assert_eq!(mended, 1);
    drop(engine);
    // The copy from before the decision, and the HEAD that names its segment.
    disk.tamper(segment(1), before);
    let engine = Engine::open_with(&disk, few()).unwrap();
    assert!(engine.store.refusal().is_none());
    let eras = engine.store.shared().visible.eras();
    assert!(eras.iter().all(|era| era.log_id != forked), "{eras:?}");
}

/// A segment could not be opened when damage was accepted, and could be opened later. What it
/// holds stayed lost to readers, but counted for its stream, which took appends.
#[test]
fn what_is_accepted_as_lost_is_lost_to_its_stream_as_well() {
    let disk = SimDisk::default();
    filled(&disk, 3, 1_200);
    let kept = disk.content(segment(2)).unwrap();
    disk.lose(segment(2));
    accept_damage(&disk);
    disk.tamper(segment(2), kept);
    for _ in 0..2 {
        let mut engine = Engine::open_with(&disk, few()).unwrap();
        assert!(engine.store.refusal().is_none());
        assert!(matches!(engine.entries().unwrap()[1], Entry::Lost(_)));
        is_corrupt(engine.append(one(&event("a", "refused"))));
        engine.append(one(&event("b", "goes on"))).unwrap();
    }
}

/// Damage without a lost event was accepted: segments of two histories that did not fit. A
/// stream missed an event in between, and took appends.
#[test]
fn streams_are_compared_behind_all_damage() {
    let disk = SimDisk::default();
    filled(&disk, 2, 1_500);
    let older = super::copy(&disk);
    let mut engine = Engine::open_with(&disk, few()).unwrap();
    for id in ["a", "a", "a"] {
        engine.append(one(&event(id, &"x".repeat(1_500)))).unwrap();
    }
    engine.mark();
    drop(engine);
    let mut engine = Engine::open_with(&older, few()).unwrap();
    for id in ["b", "b", "b"] {
        engine.append(one(&event(id, &"x".repeat(1_500)))).unwrap();
    }
    drop(engine);
    // Position 3 belongs to another stream there.
    disk.tamper(segment(3), older.content(segment(3)).unwrap());
    for run in runs(&disk) {
        disk.lose(run);
    }
    accept_damage(&disk);
    let mut engine = Engine::open_with(&disk, few()).unwrap();
    assert!(engine.store.refusal().is_none());
    is_corrupt(engine.append(one(&event("a", "refused"))));
}

/// The log was opened on a full disk, so that nothing could vouch for its last frame, and not
/// even closing it did so later. One bad bit then took the whole frame along.
#[test]
fn a_mark_that_found_no_room_is_written_later() {
    let disk = SimDisk::default();
    let mut engine = Engine::open_with(&disk, few()).unwrap();
    let four = (0..4).map(|nth| event(&format!("{nth}"), "x")).collect();
    engine.append(Append::new(four)).unwrap();
    drop(engine);
    let length = disk.content(segment(1)).unwrap().len();
    let used = *frames(&disk.content(segment(1)).unwrap()).last().unwrap();
    let bytes = super::frame_bytes(&disk.content(segment(1)).unwrap(), used);
    let mut content = disk.content(segment(1)).unwrap();
    content.truncate((used + bytes).min(length));
    disk.tamper(segment(1), content);
    disk.set_room(Some(0));
    let mut engine = Engine::open_with(&disk, few()).unwrap();
    disk.set_room(None);
    engine.mark();
    drop(engine);
    let mut content = disk.content(segment(1)).unwrap();
    content[used + 20] ^= 1;
    disk.tamper(segment(1), content);
    assert!(!verified(&disk).damage.is_empty());
}

/// Nothing was left of a log but its index. A new log was begun in its place.
#[test]
fn no_log_is_begun_beside_the_index_of_another() {
    let disk = SimDisk::default();
    filled(&disk, 3, 10);
    disk.lose(segment(1));
    disk.lose(format!("{FOLDER}/HEAD"));
    is_corrupt(Engine::open_with(&disk, few()).map(|_| ()));
}

/// A file of the index was made under a name that another one had had before a power cut, and
/// came back with what that one had held: a run of another history, under the name of one of
/// this log. It counted as evidence that this log had lost its tail.
#[test]
fn a_run_under_the_name_of_another_one_is_no_evidence() {
    let (disk, other) = (SimDisk::default(), SimDisk::default());
    filled(&disk, 3, 10);
    filled(&other, 3, 10);
    let ([run], [strange]) = (&runs(&disk)[..], &runs(&other)[..]) else {
        panic!("one run is made of three events");
    };
    disk.tamper(run, other.content(strange).unwrap());
    let mut engine = Engine::open_with(&disk, few()).unwrap();
    engine.append(one(&event("a", "goes on"))).unwrap();
}

/// Something derived from another log was accepted as such. Something else of that log, which
/// nobody had seen at the time, had appends refused again.
#[test]
fn of_another_log_nothing_counts_once_it_was_accepted() {
    let disk = SimDisk::default();
    filled(&disk, 1, 10);
    let checkpoint = |position| Checkpoint {
        log_id: uuid::Uuid::from_u128(99),
        position,
        event_id: uuid::Uuid::from_u128(position.into()),
    };
    let mut options = few();
    options.evidence = vec![checkpoint(3)];
    let refused = Engine::open_with(&disk, options.clone()).unwrap();
    assert!(refused.store.refusal().is_some());
    drop(refused);
    accept_loss(&disk, options.evidence.clone());
    options.evidence.push(checkpoint(9));
    let engine = Engine::open_with(&disk, options).unwrap();
    assert!(engine.store.refusal().is_none());
}

/// With a loss that was accepted, all that was derived from the log was ignored from then on, also
/// what fitted it. When that part was replaced by an older copy later, nothing told of it.
#[test]
fn what_fits_the_log_stays_evidence_when_a_loss_is_accepted() {
    let disk = SimDisk::default();
    filled(&disk, 3, 10);
    let engine = Engine::open_with(&disk, few()).unwrap();
    let visible = &engine.store.shared().visible;
    let place = |position| Checkpoint {
        log_id: visible.log_id(),
        position,
        event_id: visible.event(position).unwrap().metadata.event_id,
    };
    let fits = place(2);
    let ahead = Checkpoint {
        position: 9,
        ..place(3)
    };
    drop(engine);
    accept_loss(&disk, vec![fits, ahead]);
    let engine = Engine::open_with(&disk, few()).unwrap();
    let facts = engine.store.shared().visible.index().facts();
    let ignored: Vec<_> = facts.ignored.iter().map(|known| known.position).collect();
    assert_eq!(ignored, [9]);
}

/// A run knew from a decision that an event behind its end was lost. Then the segment of both
/// was lost, and that was accepted. The next event at that position was delivered as lost.
#[test]
fn a_run_forgets_what_was_accepted_behind_its_end() {
    let disk = SimDisk::default();
    let mut two = few();
    two.index.memory_events = 2;
    let mut engine = Engine::open_with(&disk, two.clone()).unwrap();
    for id in ["a", "b", "c"] {
        engine.append(one(&event(id, &"x".repeat(1_500)))).unwrap();
    }
    engine.mark();
    drop(engine);
    harm_an_event(&disk, 3);
    accept_damage(&disk);
    drop(Engine::open_with(&disk, two.clone()).unwrap());
    assert!(!runs(&disk).is_empty());
    disk.lose(segment(3));
    disk.lose(segment(4));
    accept_loss(&disk, Vec::new());
    let mut engine = Engine::open_with(&disk, two).unwrap();
    let appended = engine.append(one(&event("d", "new"))).unwrap();
    assert_eq!(appended.events[0].position, 3);
    assert_eq!(engine.events().len(), 3);
}

/// The index was made again after damage had been accepted, but could not keep its names, since
/// nobody had accepted the damage where it was met. The whole log was read at every opening.
#[test]
fn an_index_of_a_log_with_accepted_damage_is_kept() {
    let disk = SimDisk::default();
    filled(&disk, 8, 10);
    harm_an_event(&disk, 1);
    accept_damage(&disk);
    drop(Engine::open_with(&disk, few()).unwrap());
    let made = runs(&disk);
    assert!(!made.is_empty());
    let engine = Engine::open_with(&disk, few()).unwrap();
    let used = engine.store.shared().visible.index().runs();
    assert_eq!(used.len(), made.len());
}
