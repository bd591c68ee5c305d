//! Calls to the disk that fail, a disk that fills up, and answers that must wait for what
//! they rest on.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use retold_core::{
    Append, Appended, Error, EventStore, Expected, NewEvent, RecordedEvent, RestoreBatch,
};

use super::{Engine, check_events, event, idle, one, options, stream, verified};
use crate::Options;
use crate::disk::sim::SimDisk;

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Appended, Error>> + Send + 'a>>;

/// Hands an append in and takes no step.
fn begin<'a>(engine: &'a Engine, append: Append) -> Waiting<'a> {
    let mut future = engine.store.append(append);
    assert!(future.as_mut().poll(&mut idle()).is_pending());
    future
}

fn answer(mut future: Waiting<'_>) -> Result<Appended, Error> {
    match future.as_mut().poll(&mut idle()) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("not answered yet"),
    }
}

fn is_pending(future: &mut Waiting<'_>) -> bool {
    future.as_mut().poll(&mut idle()).is_pending()
}

#[test]
fn no_answer_is_given_before_what_it_rests_on_is_durable() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    let first = event("a", "first");
    let mut syncer = engine.syncer.take().unwrap();
    let mut new = begin(&engine, one(&first));
    let mut repeated = begin(&engine, one(&first));
    let conflicting =
        Append::new(vec![event("a", "second")]).expect(stream("a"), Expected::NoStream);
    let mut conflict = begin(&engine, conflicting);
    // An answer that rests on nothing new waits for nothing.
    let unmet = Append::new(vec![event("b", "x")]).expect(stream("b"), Expected::StreamExists);
    let unmet = engine.store.append(unmet).as_mut().poll(&mut idle());
    assert!(matches!(unmet, Poll::Ready(Err(Error::Conflict { .. }))));
    assert!(engine.events().is_empty(), "visible before it is durable");
    assert!(is_pending(&mut new) && is_pending(&mut repeated) && is_pending(&mut conflict));
    assert!(syncer.step());
    let new = answer(new).unwrap();
    assert!(new.is_new);
    let repeated = answer(repeated).unwrap();
    assert!(!repeated.is_new);
    assert_eq!(repeated.events, new.events);
    assert!(matches!(answer(conflict), Err(Error::Conflict { .. })));
}

#[test]
fn a_failed_write_leaves_its_group_unknown_and_all_behind_it_unwritten() {
    // Writing the frame, and syncing it, fails.
    for failing in [1, 2] {
        let disk = SimDisk::default();
        let roomy = Options {
            segment_bytes_max: 1 << 20,
            reserve_bytes: 1 << 16,
            ..options()
        };
        let mut engine = Engine::open_with(&disk, roomy).unwrap();
        let kept = event("kept", "x");
        engine.append(one(&kept)).unwrap();
        let mut syncer = engine.syncer.take().unwrap();
        let first = event("a", "first");
        let unknown = begin(&engine, one(&first));
        disk.fail_call(disk.calls() + failing, io::ErrorKind::Other);
        // The group is taken; what follows stands behind it.
        let rests = Append::new(vec![event("a", "x")]).expect(stream("a"), Expected::NoStream);
        let rests = begin(&engine, rests);
        assert!(syncer.step());
        assert!(matches!(answer(unknown), Err(Error::UnknownOutcome { .. })));
        assert!(matches!(answer(rests), Err(Error::UnknownOutcome { .. })));
        let after = engine.store.append(one(&event("b", "after")));
        let after = answer(after);
        let Err(Error::Poisoned { event_ids, .. }) = after else {
            panic!("{after:?}")
        };
        assert_eq!(event_ids.len(), 1);
        // A repetition of what is durable, and reading, go on.
        assert!(!answer(engine.store.append(one(&kept))).unwrap().is_new);
        assert_eq!(engine.events().len(), 1);
        drop((engine, syncer));
        for seed in 0..8 {
            let disk = super::copy(&disk);
            disk.cut_power(seed);
            let mut engine = Engine::open(&disk).unwrap();
            let before = engine.events().len();
            let retried = engine.append(one(&first)).unwrap();
            assert_eq!(retried.is_new, before == 1);
            assert_eq!(engine.events().len(), 2);
        }
    }
}

#[test]
fn a_full_disk_writes_nothing_and_appends_go_on_when_there_is_room() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    engine.append(one(&event("a", "first"))).unwrap();
    disk.set_room(Some(0));
    let large = event("a", &"x".repeat(4_000));
    let mut syncer = engine.syncer.take().unwrap();
    let full = begin(&engine, one(&large));
    let next = Append::new(vec![event("a", "third")]).expect(stream("a"), Expected::Sequence(2));
    let behind = begin(&engine, next.clone());
    let conflict = Append::new(vec![event("a", "x")]).expect(stream("a"), Expected::Sequence(1));
    let conflict = begin(&engine, conflict);
    assert!(syncer.step());
    let Err(Error::Full { event_ids }) = answer(full) else {
        panic!("should be full")
    };
    assert_eq!(event_ids, [large.metadata.event_id]);
    assert!(matches!(answer(behind), Err(Error::Full { .. })));
    assert!(matches!(answer(conflict), Err(Error::Full { .. })));
    assert_eq!(engine.events().len(), 1);
    engine.syncer = Some(syncer);
    disk.set_room(None);
    let appended = engine.append(one(&large)).unwrap();
    assert!(appended.is_new);
    assert_eq!(
        (
            appended.events[0].sequence_number,
            appended.events[0].position
        ),
        (2, 2)
    );
    engine.append(next).unwrap();
    engine.mark();
    drop(engine);
    assert!(verified(&disk).is_whole());
    assert_eq!(Engine::open(&disk).unwrap().events().len(), 3);
}

#[test]
fn a_disk_that_is_full_when_a_segment_should_begin_poisons_nothing() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    let mut number = 0;
    let filler = |number: &mut u32| {
        *number += 1;
        event("a", &format!("{number}{}", "x".repeat(300)))
    };
    while disk
        .paths()
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .count()
        < 3
    {
        disk.set_room(Some(0));
        let event = filler(&mut number);
        if matches!(engine.append(one(&event)), Err(Error::Full { .. })) {
            disk.set_room(None);
            assert!(engine.append(one(&event)).unwrap().is_new);
        }
    }
    let events = engine.events();
    engine.mark();
    drop(engine);
    assert!(verified(&disk).is_whole());
    assert_eq!(Engine::open(&disk).unwrap().events(), events);
}

#[test]
fn a_group_is_synced_once_however_many_wait_for_it() {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    let mut syncer = engine.syncer.take().unwrap();
    let waiting: Vec<Waiting<'_>> = (0..3)
        .map(|nth| begin(&engine, one(&event(&format!("{nth}"), "x"))))
        .collect();
    let before = disk.calls();
    assert!(syncer.step() && !syncer.step());
    assert!(disk.calls() - before <= 4, "reserve, write, sync");
    let positions: Vec<u64> = waiting
        .into_iter()
        .map(|waiting| answer(waiting).unwrap().events[0].position)
        .collect();
    assert_eq!(positions, [1, 2, 3]);
}

#[test]
fn a_second_process_is_told_who_holds_the_folder() {
    let disk = SimDisk::default();
    let engine = Engine::open(&disk).unwrap();
    assert!(matches!(Engine::open(&disk), Err(Error::Busy { .. })));
    drop(engine);
    Engine::open(&disk).unwrap();
}

/// The disk may be full at any call. It once was between a new segment's name and HEAD, and
/// the old segment grew on behind its successor.
#[test]
fn a_disk_that_is_full_at_any_call_loses_nothing() {
    let story =
        |disk: &SimDisk, acknowledged: &mut Vec<RecordedEvent>, sent: &mut Vec<NewEvent>| {
            let Ok(mut engine) = Engine::open(disk) else {
                return;
            };
            for nth in 0..16 {
                let event = event(&format!("{}", nth % 3), &"x".repeat(60 + nth));
                sent.push(event.clone());
                let mut appended = engine.append(one(&event));
                if matches!(appended, Err(Error::Full { .. })) {
                    // Something smaller may find room before the same is tried again.
                    let small = super::event("0", "small");
                    sent.push(small.clone());
                    let between = engine.append(one(&small));
                    acknowledged.extend(between.into_iter().flat_map(|appended| appended.events));
                    appended = engine.append(one(&event));
                }
                acknowledged.extend(appended.into_iter().flat_map(|appended| appended.events));
            }
            engine.mark();
        };
    let counted = SimDisk::default();
    story(&counted, &mut Vec::new(), &mut Vec::new());
    for step in 1..=counted.calls() {
        let disk = SimDisk::default();
        let (mut acknowledged, mut sent) = (Vec::new(), Vec::new());
        disk.fail_call(step, io::ErrorKind::StorageFull);
        story(&disk, &mut acknowledged, &mut sent);
        disk.cut_power(step);
        let engine = Engine::open(&disk).unwrap_or_else(|error| panic!("step {step}: {error}"));
        assert!(
            engine.store.refusal().is_none(),
            "step {step}: {:?}",
            engine.store.refusal()
        );
        check_events(&engine.events(), &acknowledged, &sent);
        drop(engine);
        assert!(verified(&disk).is_whole(), "step {step}");
    }
}

/// The future of a restore may be dropped while its part is still to be written. Told again,
/// it once put the same positions into the log a second time.
#[test]
fn a_restore_that_nobody_waited_for_is_told_again() {
    let source = SimDisk::default();
    let mut engine = Engine::open(&source).unwrap();
    for nth in 0..4 {
        engine.append(one(&event("a", &format!("{nth}")))).unwrap();
    }
    let batch = RestoreBatch {
        origin: engine.store.log_id(),
        events: engine.events(),
        is_last: true,
    };
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    let mut syncer = engine.syncer.take().unwrap();
    let mut first = engine.store.restore(batch.clone());
    assert!(first.as_mut().poll(&mut idle()).is_pending());
    assert!(syncer.step());
    assert!(
        first.as_mut().poll(&mut idle()).is_pending(),
        "its events are to be written"
    );
    drop(first);
    let again = engine
        .store
        .restore(batch.clone())
        .as_mut()
        .poll(&mut idle());
    assert!(
        matches!(again, Poll::Ready(Err(Error::Busy { .. }))),
        "{again:?}"
    );
    while syncer.step() {}
    for _ in 0..2 {
        let mut again = engine.store.restore(batch.clone());
        let head = loop {
            match again.as_mut().poll(&mut idle()) {
                Poll::Ready(head) => break head.unwrap(),
                Poll::Pending => assert!(syncer.step()),
            }
        };
        assert_eq!(head, 4);
    }
    assert_eq!(engine.events(), batch.events);
}
