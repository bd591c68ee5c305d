//! Tests of the whole engine on a simulated disk, without threads: each test takes the steps
//! of the writer itself, so that a crash can come between any two of them.

mod bytes;
mod crash;
mod damage;
mod decided;
mod failure;
mod found;
mod index;

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use retold_core::{
    Append, Appended, Entry, Error, EventStore, LogQuery, NewEvent, RecordedEvent, StreamId,
};

use crate::disk::sim::SimDisk;
use crate::index::Merger;
use crate::log::frame::MAGIC;
use crate::log::segment::file_name;
use crate::write::syncer::Syncer;
use crate::{EngineStore, Options, Verified, verify_on};

const FOLDER: &str = "/store";

/// An engine whose writer is driven by hand.
struct Engine {
    store: EngineStore,
    syncer: Option<Syncer>,
    merger: Option<Merger>,
}

/// Small segments, so that a few appends begin a new one.
fn options() -> Options {
    Options {
        segment_bytes_max: 2048,
        reserve_bytes: 512,
        log_id: Some(uuid::Uuid::from_u128(7)),
        ..Options::default()
    }
}

impl Engine {
    fn open(disk: &SimDisk) -> Result<Engine, Error> {
        Engine::open_with(disk, options())
    }

    fn open_with(disk: &SimDisk, options: Options) -> Result<Engine, Error> {
        let disk = Arc::new(disk.clone());
        let (store, background) = EngineStore::open_unstarted(disk, FOLDER.into(), options)?;
        let (syncer, merger) = background
            .map(|background| (background.syncer, background.merger))
            .unzip();
        Ok(Engine {
            store,
            syncer,
            merger,
        })
    }

    /// Makes and merges runs until there is nothing to do, or the disk refuses.
    fn merge(&mut self) {
        while self.merger.as_mut().is_some_and(Merger::step) {}
    }

    /// Appends, and takes steps until the answer is there.
    fn append(&mut self, append: Append) -> Result<Appended, Error> {
        let Engine { store, syncer, .. } = self;
        let mut future = store.append(append);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut idle()) {
                return value;
            }
            let has_stepped = syncer.as_mut().is_some_and(Syncer::step);
            assert!(has_stepped, "waits for something that never comes");
        }
    }

    /// What an idle writer does.
    fn mark(&mut self) {
        if let Some(syncer) = &mut self.syncer {
            syncer.mark();
        }
    }

    fn entries(&self) -> Result<Vec<Entry>, Error> {
        let visible = &self.store.shared().visible;
        let mut entries = Vec::new();
        let mut after = 0;
        loop {
            let page = visible.read_log(&LogQuery::after(after).limit(3))?;
            entries.extend(page.entries);
            match page.next {
                Some(next) => after = next,
                None => return Ok(entries),
            }
        }
    }

    fn events(&self) -> Vec<RecordedEvent> {
        let entries = self.entries().unwrap();
        entries
            .into_iter()
            .map(|entry| entry.into_event().unwrap())
            .collect()
    }
}

fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn stream(id: &str) -> StreamId {
    StreamId::new("Issue", id).unwrap()
}

fn event(id: &str, payload: &str) -> NewEvent {
    NewEvent::new(stream(id), "issue.changed", payload).unwrap()
}

fn one(event: &NewEvent) -> Append {
    Append::new(vec![event.clone()])
}

fn verified(disk: &SimDisk) -> Verified {
    verify_on(disk, FOLDER).unwrap()
}

/// Where each frame of a segment begins.
fn frames(content: &[u8]) -> Vec<usize> {
    let starts = (0..content.len() - 8).step_by(8);
    starts.filter(|at| content[*at..*at + 8] == MAGIC).collect()
}

/// The bytes of the frame at an offset, without the zeros up to the next one.
fn frame_bytes(content: &[u8], offset: usize) -> usize {
    u32::from_le_bytes(content[offset + 16..offset + 20].try_into().unwrap()) as usize
}

/// The path of the segment that begins with a position.
fn segment(first_position: u64) -> String {
    format!("{FOLDER}/log/{}", file_name(first_position))
}

fn cut_files(disk: &SimDisk) -> Vec<Vec<u8>> {
    let is_cut = |path: &&std::path::PathBuf| path.to_string_lossy().contains("/cut-");
    let paths = disk.paths();
    paths
        .iter()
        .filter(is_cut)
        .filter_map(|path| disk.content(path))
        .collect()
}

/// Checks what must hold after any crash: every acknowledged event is there once, as it was
/// answered; nothing is there that was not sent; positions and sequences have no holes.
fn check_events(events: &[RecordedEvent], acknowledged: &[RecordedEvent], sent: &[NewEvent]) {
    let mut sequences = std::collections::HashMap::new();
    let mut ids = std::collections::HashSet::new();
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position, position);
        let sequence: &mut u64 = sequences.entry(event.stream.clone()).or_default();
        *sequence += 1;
        assert_eq!(event.sequence_number, *sequence);
        assert!(ids.insert(event.metadata.event_id), "twice: {event:?}");
        assert!(
            sent.iter()
                .any(|sent| sent.metadata == event.metadata && sent.is_same_as(event)),
            "never sent: {event:?}"
        );
    }
    for event in acknowledged {
        let found = events.get(event.position as usize - 1);
        assert_eq!(found, Some(event), "an acknowledged event is lost");
    }
}

fn is_corrupt<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    match result {
        Err(Error::Corrupt { .. }) => true,
        other => panic!("should be corrupt: {other:?}"),
    }
}

fn copy(from: &SimDisk) -> SimDisk {
    let disk = SimDisk::default();
    for folder in [FOLDER, &format!("{FOLDER}/log"), &format!("{FOLDER}/index")] {
        crate::disk::Disk::create_folder(&disk, Path::new(folder)).unwrap();
    }
    for path in from.paths() {
        disk.tamper(&path, from.content(&path).unwrap());
    }
    disk
}
