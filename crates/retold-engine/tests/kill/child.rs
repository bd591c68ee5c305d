//! The process that is killed. It says `sent` with the event ids before each append, and
//! `kept` with the places, or `refused`, once the append was answered.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use retold_core::{Append, Error, EventId, EventStore, Expected, RecordedEvent};
use retold_engine::EngineStore;

use crate::draw::{Random, event, stream};

const TASKS: u64 = 16;

/// Streams to which every task appends, beside one of its own for each.
const SHARED_STREAMS: u64 = 4;

/// Appends from sixteen tasks and tells of each append, for ever.
pub(crate) fn append_until_killed(store: EngineStore, seed: u64) {
    // Not buffered: each line is with the parent before anything else happens.
    let pipe = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
    let pipe = Arc::new(Mutex::new(fs::File::from(pipe)));
    let store = Arc::new(store);
    tell(&pipe, "\nready");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let random = Random(seed.wrapping_add(task << 32));
            tasks.spawn(append_for_ever(store.clone(), pipe.clone(), task, random));
        }
        tasks.join_next().await.unwrap().unwrap();
    });
}

fn tell(pipe: &Mutex<fs::File>, line: &str) {
    let line = format!("{line}\n");
    pipe.lock().unwrap().write_all(line.as_bytes()).unwrap();
}

async fn append_for_ever(
    store: Arc<EngineStore>,
    pipe: Arc<Mutex<fs::File>>,
    own: u64,
    mut random: Random,
) {
    loop {
        let shared = TASKS + random.below(SHARED_STREAMS);
        let (ids, expecting): (Vec<EventId>, u64) = match random.below(4) {
            0 => (vec![random.id(shared)], shared),
            1 => {
                let events = 2 + random.below(40);
                let mut id = |nth| random.id(if nth % 3 == 0 { shared } else { own });
                ((0..events).map(&mut id).collect(), own)
            }
            _ => (vec![random.id(own)], own),
        };
        let head = store.stream_head(&stream(expecting)).await.unwrap();
        let expected = Expected::Sequence(head.map_or(0, |head| head.sequence_number));
        let append = Append::new(ids.iter().copied().map(event).collect());
        let names: Vec<String> = ids.iter().map(EventId::to_string).collect();
        tell(&pipe, &format!("sent {}", names.join(" ")));
        match store
            .append(append.expect(stream(expecting), expected))
            .await
        {
            Ok(appended) => {
                assert!(appended.is_new);
                let place = |event: &RecordedEvent| {
                    let id = event.metadata.event_id;
                    format!("{id}:{}:{}", event.position, event.sequence_number)
                };
                let places: Vec<String> = appended.events.iter().map(place).collect();
                tell(&pipe, &format!("kept {}", places.join(" ")));
            }
            // Another task may have been quicker, but not on a stream that only this one writes.
            Err(Error::Conflict { .. }) if expecting == shared => {
                tell(&pipe, &format!("refused {}", names.join(" ")));
            }
            Err(error) => panic!("failed to {error}"),
        }
    }
}
