//! What reading keeps in memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use retold_core::{
    Append, Entry, EventStore, Filter, LogQuery, NewEvent, StreamId, StreamQuery, Text,
};
use retold_engine::{EngineStore, Options};

/// A filter may let one event of hundreds through that were read together: a page counts that one
/// event, and must not keep the memory of all.
#[tokio::test]
async fn what_a_filter_lets_through_shares_no_memory_with_what_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = EngineStore::open(folder.path(), Options::default()).unwrap();
    let stream = StreamId::new("Issue", "42").unwrap();
    let events = (0..600).map(|nth| {
        let event_type = if nth % 10 == 0 { "rare" } else { "frequent" };
        NewEvent::new(stream.clone(), event_type, &nth).unwrap()
    });
    store.append(Append::new(events.collect())).await.unwrap();

    let rare = || Some(Text::from_static("rare"));
    let filter = Filter {
        event_types: rare().into_iter().collect(),
        ..Filter::default()
    };
    let log = |filter| LogQuery {
        filter,
        ..LogQuery::after(0)
    };
    let of_stream = |event_type| StreamQuery {
        event_type,
        ..StreamQuery::new(stream.clone())
    };
    let filtered = store.read_log(log(filter)).await.unwrap().entries;
    assert_eq!(own_their_memory(filtered), [true; 60]);
    let filtered = store.read_stream(of_stream(rare())).await.unwrap().entries;
    assert_eq!(own_their_memory(filtered), [true; 60]);
    // All of what is read together is cheaper to share.
    let all = store
        .read_log(log(Filter::default()))
        .await
        .unwrap()
        .entries;
    assert!(!own_their_memory(all).contains(&true));
    store.close().await.unwrap();
}

/// Whether the payload of each event is all that its memory holds.
fn own_their_memory(entries: Vec<Entry>) -> Vec<bool> {
    let payloads = entries.iter().map(|entry| match entry {
        Entry::Event(event) => event.payload.as_text().clone(),
        Entry::Lost(_) => panic!("nothing is lost"),
    });
    let payloads: Vec<Text> = payloads.collect();
    drop(entries);
    let payloads: Vec<_> = payloads.into_iter().map(Text::into_bytes).collect();
    payloads.iter().map(|bytes| bytes.is_unique()).collect()
}
