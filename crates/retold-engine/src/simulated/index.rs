//! The index on disk, with tables of a few events and the smallest pages, so that a handful
//! of appends makes many runs and merges: whatever happens to its files, answers do not change.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;

use retold_contract::ManualClock;
use retold_core::{
    Append, Direction, Error, EventStore, Expected, Filter, LogQuery, NewEvent, RecordedEvent,
    StreamQuery, StreamsQuery, Timestamp,
};
use retold_memory::MemoryStore;

use super::{
    Engine, FOLDER, check_events, copy, event, idle, is_corrupt, one, options, segment, stream,
    verified,
};
use crate::disk::sim::SimDisk;
use crate::disk::sim::dice::Dice;
use crate::{IndexOptions, Options, Remedy, recover_on};

/// Every few events fill a table.
fn tiny() -> Options {
    Options {
        segment_bytes_max: 4096,
        index: IndexOptions {
            memory_events: 3,
            filter_bytes: 4 * 1024,
            cache_bytes: 4 * 1024,
            page_bytes: 1024,
            secret: Some([7; 16]),
        },
        ..options()
    }
}

fn open(disk: &SimDisk) -> Engine {
    let engine = Engine::open_with(disk, tiny()).unwrap();
    assert!(
        engine.store.refusal().is_none(),
        "{:?}",
        engine.store.refusal()
    );
    engine
}

/// The result of a call that needs no step of the writer.
fn now<T>(future: impl Future<Output = T>) -> T {
    match Box::pin(future).as_mut().poll(&mut idle()) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("waits for something"),
    }
}

/// No run was found damaged: mending would hide that one was written wrongly.
#[track_caller]
fn is_sound(engine: &Engine) {
    assert_eq!(engine.store.statistics().index.mended, 0);
}

fn run_files(disk: &SimDisk) -> Vec<PathBuf> {
    let is_run = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "run");
    disk.paths().into_iter().filter(is_run).collect()
}

/// Everything that can be asked of a store, about these events and a few that are not there.
fn answers(store: &dyn EventStore, events: &[RecordedEvent]) -> Vec<String> {
    let mut answers = Vec::new();
    let mut note = |answer: &dyn std::fmt::Debug| answers.push(format!("{answer:?}"));
    note(&now(store.head()));
    let mut filters = vec![Filter::default()];
    for term in ["c0", "c1", "c2", "none"] {
        filters.push(Filter {
            correlation_id: Some(term.into()),
            ..Filter::default()
        });
        filters.push(Filter {
            tags: vec![term.into()],
            ..Filter::default()
        });
    }
    for (from, to) in [(0, 5), (6, 9), (30, 90)] {
        let at = |micros| Some(Timestamp::from_micros(micros).unwrap());
        filters.push(Filter {
            from_timestamp: at(from),
            to_timestamp: at(to),
            ..Filter::default()
        });
    }
    for filter in filters {
        for limit in [2, 1_000] {
            let mut query = LogQuery::after(0).limit(limit);
            query.filter = filter.clone();
            loop {
                let page = now(store.read_log(query.clone())).unwrap();
                note(&page.entries);
                match page.next {
                    Some(next) => query.after = next,
                    None => break,
                }
            }
        }
    }
    for id in (0..8).map(|id| id.to_string()) {
        note(&now(store.stream_head(&stream(&id))));
        let all = StreamQuery::new(stream(&id));
        let mut queries = vec![all.clone()];
        for (from, to) in [(1, 1), (2, 4), (3, u64::MAX)] {
            for direction in [Direction::Forward, Direction::Backward] {
                queries.push(StreamQuery {
                    from_sequence: from,
                    to_sequence: to,
                    direction,
                    ..all.clone()
                });
            }
        }
        let last = events.len() as u64;
        for position in [1, last / 3, last / 2, last, last + 9] {
            queries.push(StreamQuery {
                after_position: position,
                ..all.clone()
            });
            queries.push(StreamQuery {
                through_position: position,
                ..all.clone()
            });
        }
        for query in queries {
            let page = now(store.read_stream(query)).unwrap();
            note(&(page.entries, page.next, page.head));
        }
    }
    for event in events {
        note(&now(store.read_event(event.metadata.event_id)));
        let again = Append::new(vec![event.clone().into_new()]);
        let again = now(store.append(again)).unwrap();
        assert!(!again.is_new);
        note(&again.events);
    }
    note(&now(store.read_event(uuid::Uuid::from_u128(1))));
    for (prefix, limit) in [("", 2), ("", 100), ("1", 3), ("7", 3), ("9", 3)] {
        let mut query = StreamsQuery {
            aggregate_type: (limit != 2).then(|| "Issue".into()),
            prefix: prefix.into(),
            limit,
            ..StreamsQuery::default()
        };
        loop {
            let page = now(store.streams(query.clone())).unwrap();
            note(&page.streams);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    }
    answers
}

/// Compares answers, and shows the first that differ.
#[track_caller]
fn same(found: &[String], expected: &[String], place: &str) {
    for (nth, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "answer {nth}, {place}");
    }
    assert_eq!(found.len(), expected.len(), "{place}");
}

fn drawn(dice: &mut Dice, nth: u64) -> NewEvent {
    let id = dice.below(8).to_string();
    let new = event(&id, &"x".repeat(dice.below(60) as usize));
    let new = new
        .timestamp(Timestamp::from_micros(dice.below(nth + 2) as i64).unwrap())
        .correlation_id(format!("c{}", dice.below(3)));
    match dice.below(3) {
        0 => new.tag(format!("c{}", dice.below(2))),
        _ => new,
    }
}

/// Appends so many events and makes runs of them.
fn filled(disk: &SimDisk, count: u64, seed: u64) -> Vec<RecordedEvent> {
    let mut engine = open(disk);
    let mut dice = Dice(seed);
    let mut events = Vec::new();
    for nth in 0..count {
        let event = drawn(&mut dice, nth);
        events.extend(engine.append(one(&event)).unwrap().events);
        engine.merge();
    }
    engine.mark();
    is_sound(&engine);
    events
}

#[test]
fn answers_are_those_of_the_plain_model() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let disk = SimDisk::default();
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000).unwrap()));
        let options = || Options {
            clock: clock.clone(),
            ..tiny()
        };
        let model = MemoryStore::with_clock(clock.clone()).with_log_id(options().log_id.unwrap());
        let mut engine = Engine::open_with(&disk, options()).unwrap();
        let mut events: Vec<RecordedEvent> = Vec::new();
        for nth in 0..60 {
            let new: Vec<NewEvent> = (0..1 + dice.below(3))
                .map(|_| drawn(&mut dice, nth))
                .collect();
            let mut append = Append::new(new);
            if dice.below(3) == 0 {
                let expected = Expected::Sequence(dice.below(4));
                append = append.expect(stream(&dice.below(8).to_string()), expected);
            }
            let kept = engine.append(append.clone());
            let expected = now(model.append(append));
            assert_eq!(
                format!("{kept:?}"),
                format!("{expected:?}"),
                "seed {seed}, append {nth}"
            );
            events.extend(kept.into_iter().flat_map(|appended| appended.events));
            let steps = dice.below(6);
            (0..steps).for_each(|_| {
                engine.merger.as_mut().unwrap().step();
            });
            if dice.below(12) == 0 {
                engine.mark();
                drop(engine);
                engine = Engine::open_with(&disk, options()).unwrap();
            }
            if dice.below(10) == 0 {
                same(
                    &answers(&engine.store, &events),
                    &answers(&model, &events),
                    &format!("seed {seed}"),
                );
            }
        }
        same(
            &answers(&engine.store, &events),
            &answers(&model, &events),
            &format!("seed {seed}"),
        );
        engine.merge();
        assert!(!run_files(&disk).is_empty());
        is_sound(&engine);
        same(
            &answers(&engine.store, &events),
            &answers(&model, &events),
            &format!("seed {seed}"),
        );
    }
}

/// What may happen to a file of the index: each gives its new content, or none where it goes.
fn harms(content: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut harms = vec![
        None,
        Some(Vec::new()),
        Some(content[..content.len() / 2].to_vec()),
    ];
    for page in 0..content.len() / 1024 {
        let mut flipped = content.to_vec();
        // Somewhere in what a page holds, elsewhere in each.
        flipped[page * 1024 + page * 7 % 400] ^= 16;
        harms.push(Some(flipped));
    }
    harms
}

#[test]
fn no_harm_to_a_file_of_the_index_changes_an_answer() {
    let disk = SimDisk::default();
    let events = filled(&disk, 58, 3);
    let expected = answers(&open(&disk).store, &events);
    let files = run_files(&disk);
    assert!(files.len() > 2, "{files:?}");
    for file in &files {
        for (nth, harm) in harms(&disk.content(file).unwrap()).into_iter().enumerate() {
            for is_open in [false, true] {
                let disk = copy(&disk);
                let harm_it = || match &harm {
                    Some(content) => disk.tamper(file, content.clone()),
                    None => disk.lose(file),
                };
                if !is_open {
                    harm_it();
                }
                let mut engine = open(&disk);
                if is_open {
                    harm_it();
                }
                let place = format!("{file:?}, harm {nth}, open {is_open}");
                same(&answers(&engine.store, &events), &expected, &place);
                engine.merge();
                same(
                    &answers(&engine.store, &events),
                    &expected,
                    &format!("{place}, merged"),
                );
                drop(engine);
                same(
                    &answers(&open(&disk).store, &events),
                    &expected,
                    &format!("{place}, again"),
                );
                assert!(verified(&disk).is_whole());
            }
        }
    }
}

#[test]
fn an_index_that_was_deleted_mixed_or_replaced_by_an_older_copy_changes_no_answer() {
    let disk = SimDisk::default();
    let (mut older, mut events) = (Vec::new(), Vec::new());
    let mut engine = open(&disk);
    let mut dice = Dice(5);
    for nth in 0..50 {
        if nth % 10 == 9 {
            let kept = run_files(&disk).into_iter();
            older.push(
                kept.map(|file| (file.clone(), disk.content(&file).unwrap()))
                    .collect::<Vec<_>>(),
            );
        }
        events.extend(engine.append(one(&drawn(&mut dice, nth))).unwrap().events);
        engine.merge();
    }
    engine.mark();
    drop(engine);
    let expected = answers(&open(&disk).store, &events);
    let other = SimDisk::default();
    {
        let other_log = Options {
            log_id: Some(uuid::Uuid::from_u128(8)),
            ..tiny()
        };
        let mut engine = Engine::open_with(&other, other_log).unwrap();
        for nth in 0..20 {
            engine.append(one(&drawn(&mut dice, nth))).unwrap();
            engine.merge();
        }
    }
    let foreign: Vec<_> = run_files(&other)
        .into_iter()
        .map(|file| (file.clone(), other.content(&file).unwrap()))
        .collect();
    for copies in older.iter().chain([&foreign, &Vec::new()]) {
        for keeps in [false, true] {
            let disk = copy(&disk);
            if !keeps {
                run_files(&disk).iter().for_each(|file| disk.lose(file));
            }
            for (file, content) in copies {
                disk.tamper(file, content.clone());
            }
            let mut engine = open(&disk);
            same(&answers(&engine.store, &events), &expected, "");
            engine.merge();
            same(&answers(&engine.store, &events), &expected, "");
            is_sound(&engine);
        }
    }
    // Each file holds what another one held.
    let files = run_files(&disk);
    let contents: Vec<_> = files
        .iter()
        .map(|file| disk.content(file).unwrap())
        .collect();
    for shift in 1..files.len() {
        let disk = copy(&disk);
        for (nth, file) in files.iter().enumerate() {
            disk.tamper(file, contents[(nth + shift) % files.len()].clone());
        }
        same(&answers(&open(&disk).store, &events), &expected, "");
    }
}

/// Opens, appends, makes and merges runs, step by step.
fn story(
    disk: &SimDisk,
    acknowledged: &mut Vec<RecordedEvent>,
    sent: &mut Vec<NewEvent>,
) -> Option<()> {
    let mut engine = Engine::open_with(disk, tiny()).ok()?;
    let mut dice = Dice(9);
    for nth in 0..26 {
        let event = drawn(&mut dice, nth);
        sent.push(event.clone());
        acknowledged.extend(engine.append(one(&event)).ok()?.events);
        if nth % 3 == 0 {
            engine.merge();
        }
    }
    engine.mark();
    engine.merge();
    Some(())
}

#[test]
fn a_crash_at_any_step_of_making_and_merging_runs_changes_no_answer() {
    let disk = SimDisk::default();
    story(&disk, &mut Vec::new(), &mut Vec::new()).unwrap();
    for step in 1..=disk.calls() {
        for seed in 0..3 {
            let disk = SimDisk::default();
            let (mut acknowledged, mut sent) = (Vec::new(), Vec::new());
            disk.halt_at(step);
            story(&disk, &mut acknowledged, &mut sent);
            disk.cut_power(seed);
            let mut engine = open(&disk);
            let events = engine.events();
            check_events(&events, &acknowledged, &sent);
            let kept = answers(&engine.store, &events);
            engine.merge();
            same(
                &answers(&engine.store, &events),
                &kept,
                &format!("step {step}, seed {seed}"),
            );
            drop(engine);
            run_files(&disk).iter().for_each(|file| disk.lose(file));
            same(
                &answers(&open(&disk).store, &events),
                &kept,
                &format!("step {step}, seed {seed}"),
            );
            assert!(verified(&disk).is_whole());
        }
    }
}

#[test]
fn a_disk_that_refuses_any_call_of_the_merger_changes_no_answer() {
    let disk = SimDisk::default();
    story(&disk, &mut Vec::new(), &mut Vec::new()).unwrap();
    let calls = disk.calls();
    for step in 1..=calls {
        let disk = SimDisk::default();
        let (mut acknowledged, mut sent) = (Vec::new(), Vec::new());
        disk.fail_call(step, std::io::ErrorKind::StorageFull);
        story(&disk, &mut acknowledged, &mut sent);
        let mut engine = open(&disk);
        let events = engine.events();
        check_events(&events, &acknowledged, &sent);
        let kept = answers(&engine.store, &events);
        engine.merge();
        same(
            &answers(&engine.store, &events),
            &kept,
            &format!("step {step}"),
        );
    }
}

#[test]
fn a_run_that_is_ahead_of_the_log_is_evidence_of_a_lost_tail() {
    let disk = SimDisk::default();
    filled(&disk, 6, 1);
    let older = copy(&disk);
    {
        let mut engine = open(&disk);
        for nth in 6..20 {
            engine.append(one(&drawn(&mut Dice(nth), nth))).unwrap();
            engine.merge();
        }
        engine.mark();
    }
    // The log is put back, the index is not.
    for path in disk.paths() {
        let is_log = !path.to_string_lossy().contains("/index/");
        match older.content(&path) {
            Some(content) if is_log => disk.tamper(&path, content),
            None if is_log => disk.lose(&path),
            _ => {}
        }
    }
    for _ in 0..2 {
        let mut engine = Engine::open_with(&disk, tiny()).unwrap();
        assert_eq!(engine.events().len(), 6);
        is_corrupt(engine.append(one(&event("1", "refused"))));
        engine.merge();
    }
    let loss = Remedy::AcceptLoss {
        reason: "an older copy was restored".into(),
        evidence: Vec::new(),
    };
    recover_on(Arc::new(disk.clone()), FOLDER, loss.clone()).unwrap();
    let mut engine = open(&disk);
    let mut events = engine.events();
    for nth in 0..12 {
        events.extend(
            engine
                .append(one(&drawn(&mut Dice(nth), 3)))
                .unwrap()
                .events,
        );
        engine.merge();
    }
    engine.mark();
    let kept = answers(&engine.store, &events);
    drop(engine);
    same(&answers(&open(&disk).store, &events), &kept, "");
    let again = recover_on(Arc::new(disk.clone()), FOLDER, loss);
    assert!(matches!(again, Err(Error::NotFound { .. })), "{again:?}");
}

/// A log that was put back and went on is another history than the one that runs tell of.
#[test]
fn a_run_of_another_history_is_evidence_of_a_lost_tail() {
    let disk = SimDisk::default();
    filled(&disk, 6, 1);
    let other = copy(&disk);
    for (disk, seed) in [(&disk, 50), (&other, 60)] {
        let mut engine = open(disk);
        for nth in 6..20 {
            engine
                .append(one(&drawn(&mut Dice(seed + nth), nth)))
                .unwrap();
            engine.merge();
        }
        engine.mark();
    }
    for file in run_files(&disk) {
        disk.lose(&file);
    }
    for file in run_files(&other) {
        disk.tamper(&file, other.content(&file).unwrap());
    }
    let mut engine = Engine::open_with(&disk, tiny()).unwrap();
    is_corrupt(engine.append(one(&event("1", "refused"))));
    assert_eq!(engine.events().len(), 20);
}

#[test]
fn damage_that_runs_answer_for_is_met_when_it_is_read_and_where_the_index_is_made_again() {
    let disk = SimDisk::default();
    let events = filled(&disk, 30, 2);
    let runs = run_files(&disk);
    let content = disk.content(segment(1)).unwrap();
    let mut damaged = content.clone();
    // A byte of the third event's payload.
    let at = super::frames(&content)[3] + crate::log::frame::HEADER_BYTES;
    let length = u32::from_le_bytes(content[at..at + 4].try_into().unwrap()) as usize;
    damaged[at + length - 1] ^= 1;
    disk.tamper(segment(1), damaged);
    let lost = &events[2];

    // The runs answer for it: everything else goes on.
    let whole = copy(&disk);
    let mut engine = open(&whole);
    is_corrupt(now(engine.store.read_event(lost.metadata.event_id)));
    is_corrupt(engine.append(one(&lost.clone().into_new())));
    assert!(engine.append(one(&event("new", "goes on"))).unwrap().is_new);
    drop(engine);
    assert_eq!(verified(&whole).damage[0].lost, [(3, 3)]);

    // A run that answered for it is damaged while the log is open.
    let first = runs.iter().min().unwrap();
    let while_open = copy(&disk);
    let mut engine = open(&while_open);
    let emptied = vec![0; disk.content(first).unwrap().len()];
    while_open.tamper(first, emptied);
    is_corrupt(engine.append(one(&event("new", "refused"))));
    is_corrupt(engine.append(one(&event("1", "refused too"))));
    is_corrupt(now(engine.store.check_writable()));
    drop(engine);

    // The same run is gone when the log is opened.
    disk.lose(first);
    let mut engine = Engine::open_with(&disk, tiny()).unwrap();
    assert!(engine.store.refusal().is_some());
    is_corrupt(engine.append(one(&event("new", "refused"))));
    assert_eq!(
        now(engine.store.read_event(events[29].metadata.event_id))
            .unwrap()
            .as_ref(),
        Some(&events[29])
    );
    drop(engine);
    recover_on(Arc::new(disk.clone()), FOLDER, Remedy::AcceptDamage).unwrap();
    for _ in 0..3 {
        let mut engine = open(&disk);
        assert!(engine.append(one(&event("new", "goes on"))).unwrap().is_new);
        is_corrupt(engine.append(one(&event(lost.stream.aggregate_id(), "on what?"))));
        engine.mark();
        engine.merge();
        let entries = engine.entries().unwrap();
        assert!(matches!(&entries[2], retold_core::Entry::Lost(found) if found.position == 3));
    }
    assert!(!run_files(&disk).is_empty());
}

/// Only what lies behind the runs is read when a log is opened.
#[test]
fn opening_reads_what_lies_behind_the_runs() {
    let disk = SimDisk::default();
    let events = filled(&disk, 60, 4);
    let content = disk.content(segment(1)).unwrap();
    // Had it been read, every opening would say so.
    disk.fail_reads(segment(1), 200..content.len() as u64);
    let mut engine = open(&disk);
    assert_eq!(engine.store.head_position(), 60);
    assert!(engine.append(one(&event("1", "goes on"))).unwrap().is_new);
    is_corrupt(now(engine.store.read_event(events[0].metadata.event_id)));
    assert_eq!(
        now(engine.store.read_event(events[59].metadata.event_id))
            .unwrap()
            .as_ref(),
        Some(&events[59])
    );
}

impl crate::EngineStore {
    fn head_position(&self) -> u64 {
        self.shared().visible.head().position
    }
}

#[test]
fn an_index_is_made_anew_with_progress_and_not_where_it_is_evidence() {
    let disk = SimDisk::default();
    let events = filled(&disk, 40, 6);
    let expected = answers(&open(&disk).store, &events);
    let shared: Arc<dyn crate::disk::Disk> = Arc::new(disk.clone());
    let seen = Arc::new(std::sync::Mutex::new(0));
    let told = Arc::clone(&seen);
    let progress = move |position| *told.lock().unwrap() = position;
    let rebuilt = crate::rebuild_index_on(Arc::clone(&shared), FOLDER, &tiny(), progress).unwrap();
    assert_eq!((rebuilt.head, *seen.lock().unwrap()), (40, 40));
    assert_eq!(rebuilt.runs, run_files(&disk).len() as u64);
    same(&answers(&open(&disk).store, &events), &expected, "");
    let runs = run_files(&disk);
    disk.lose(segment(1));
    let refused = crate::rebuild_index_on(shared, FOLDER, &tiny(), |_| {});
    is_corrupt(refused);
    assert_eq!(run_files(&disk), runs);
}
