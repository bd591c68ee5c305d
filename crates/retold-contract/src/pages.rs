//! Follows pages to their end and checks on the way what every page promises. For stores
//! that nobody writes to meanwhile.

use retold_core::{
    Direction, EventStore, Filter, LogQuery, RecordedEvent, StreamQuery, StreamSummary,
    StreamsQuery, limits,
};

use crate::events::ok;

/// Everything that a query of a stream asks for, page by page.
pub(crate) async fn stream_events(
    store: &dyn EventStore,
    mut query: StreamQuery,
) -> Vec<RecordedEvent> {
    let log_head = ok(store.head().await).position;
    let stream_head = ok(store.stream_head(&query.stream).await);
    let is_forward = query.direction == Direction::Forward;
    let mut events: Vec<RecordedEvent> = Vec::new();
    let mut complete_through = 0;
    loop {
        let page = ok(store.read_stream(query.clone()).await);
        assert_eq!(page.head, stream_head);
        assert!(page.entries.len() <= query.limit, "a page over its limit");
        let (next, page_complete) = (page.next, page.complete_through);
        let page = ok(page.into_events());
        check_bytes(page.iter().map(RecordedEvent::bytes).sum(), page.len());
        for event in &page {
            assert_eq!(event.stream, query.stream);
            assert!(query.admits(event), "not asked for: {event:?}");
            if let Some(previous) = events.last() {
                let is_in_order = match is_forward {
                    true => previous.sequence_number < event.sequence_number,
                    false => previous.sequence_number > event.sequence_number,
                };
                assert!(is_in_order, "out of order: {previous:?}, {event:?}");
            }
            if is_forward {
                assert!(event.position > complete_through, "late: {event:?}");
            }
            events.push(event.clone());
        }
        match (is_forward, next) {
            (false, _) => assert_eq!(page_complete, log_head),
            (true, None) => assert_eq!(page_complete, log_head.min(query.through_position)),
            (true, Some(_)) => {
                assert!(page_complete <= log_head && page_complete >= complete_through);
                let last = page.last().map_or(0, |event| event.position);
                assert!(page_complete >= last, "complete before its own events");
            }
        }
        complete_through = page_complete;
        let Some(next) = next else { return events };
        let gets_on = match is_forward {
            true => next > query.from_sequence,
            false => next < query.to_sequence,
        };
        assert!(
            gets_on,
            "the next page begins where this one did, at {next}"
        );
        query = query.continued(next);
    }
}

/// Everything that a query of the log asks for, page by page.
pub(crate) async fn log_events(store: &dyn EventStore, mut query: LogQuery) -> Vec<RecordedEvent> {
    let head = ok(store.head().await).position;
    let mut events = Vec::new();
    loop {
        let page = ok(store.read_log(query.clone()).await);
        assert!(page.entries.len() <= query.limit, "a page over its limit");
        let (next, complete_through) = (page.next, page.complete_through);
        let mut after = query.after;
        let mut bytes = 0;
        let entries = page.entries.len();
        for entry in page.entries {
            let event = ok(entry.into_event());
            bytes += event.bytes();
            assert!(event.position > after, "out of order or late: {event:?}");
            assert!(event.position <= complete_through);
            assert!(event.position <= query.through);
            assert!(query.filter.admits(&event), "not asked for: {event:?}");
            after = event.position;
            events.push(event);
        }
        check_bytes(bytes, entries);
        let Some(next) = next else {
            assert_eq!(complete_through, head.min(query.through));
            return events;
        };
        assert_eq!(
            next, complete_through,
            "a page goes on where it is complete"
        );
        assert!(
            next > query.after,
            "the next page begins where this one did"
        );
        query.after = next;
    }
}

/// The whole log, reserved streams and all.
pub(crate) async fn whole_log(store: &dyn EventStore) -> Vec<RecordedEvent> {
    let everything = Filter {
        include_reserved: true,
        ..Filter::default()
    };
    log_events(store, LogQuery::after(0).filter(everything).limit(1_000)).await
}

/// Every stream that a query asks for, page by page.
pub(crate) async fn listed_streams(
    store: &dyn EventStore,
    mut query: StreamsQuery,
) -> Vec<StreamSummary> {
    let mut streams: Vec<StreamSummary> = Vec::new();
    loop {
        let page = ok(store.streams(query.clone()).await);
        assert!(page.streams.len() <= query.limit, "a page over its limit");
        for summary in page.streams {
            assert!(query.admits(&summary.stream), "not asked for: {summary:?}");
            let is_in_order = streams
                .last()
                .is_none_or(|previous| previous.stream < summary.stream);
            assert!(is_in_order, "out of order: {summary:?}");
            streams.push(summary);
        }
        let Some(next) = page.next else {
            return streams;
        };
        let gets_on = query.after.as_ref().is_none_or(|after| next > *after);
        assert!(gets_on, "the next page begins where this one did");
        query.after = Some(next);
    }
}

/// Checks that a page does not hold more than a page may, unless it is a single event.
fn check_bytes(bytes: usize, entries: usize) {
    let is_bounded = bytes <= limits::PAGE_BYTES_MAX || entries == 1;
    assert!(is_bounded, "a page of {bytes} bytes");
}
