//! Reading the log after a position, with filters; one event by its id; the head.

use retold_core::{
    Append, EntryRef, EventStore, Filter, LogHead, LogQuery, NewEvent, Position, Timestamp, limits,
};
use uuid::Uuid;

use crate::events::{
    assert_invalid, at, event, issue, json_of_bytes, ok, positions, several, stream,
};
use crate::pages::{log_events, whole_log};
use crate::{Places, Subject};

/// Eight events that differ in everything that a filter looks at.
async fn eight_events(places: Places) -> Subject {
    let subject = Subject::new(places).await;
    let (one, two, order) = (issue("1"), issue("2"), stream("Order", "1"));
    let made = |stream, event_type: &'static str, seconds| {
        let mut event = event(stream).timestamp(at(seconds)).correlation_id("none");
        event.event_type = event_type.into();
        event
    };
    let given: [NewEvent; 8] = [
        made(&one, "opened", 10)
            .tag("a")
            .correlation_id("x")
            .actor("me"),
        made(&order, "opened", 20)
            .tag("b")
            .tag("a")
            .correlation_id("x"),
        made(&one, "closed", 30).actor("me").causation_id("c"),
        made(&two, "opened", 15)
            .tag("c")
            .correlation_id("y")
            .actor("you"),
        made(&order, "paid", 40)
            .tag("a")
            .causation_id("c")
            .actor("me"),
        made(&two, "closed", 20).correlation_id("x").actor("Me"),
        made(&one, "opened", -10).tag("A").causation_id("C"),
        made(&order, "opened", 50)
            .tag("c")
            .tag("b")
            .correlation_id("y"),
    ];
    for event in given {
        subject.append_one(event).await;
    }
    subject
}

/// The positions that a filter finds, the same in pages of every size.
async fn found(store: &dyn EventStore, filter: &Filter) -> Vec<u64> {
    let query = LogQuery::after(0).filter(filter.clone());
    let found = positions(&log_events(store, query.clone()).await);
    for limit in [1, 2, 3, 7] {
        let in_pages = log_events(store, query.clone().limit(limit)).await;
        assert_eq!(positions(&in_pages), found);
    }
    for after in 0..=8 {
        let query = LogQuery::after(after).filter(filter.clone());
        let behind: Vec<u64> = found.iter().copied().filter(|&p| p > after).collect();
        assert_eq!(positions(&log_events(store, query).await), behind);
    }
    found
}

/// The log is read from behind a position in pages, in the order of positions.
pub async fn the_log_is_read_in_pages(places: Places) {
    let subject = eight_events(places).await;
    assert_eq!(
        found(&*subject, &Filter::default()).await,
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
    let page = ok(subject.read_log(LogQuery::after(2).limit(3)).await);
    assert_eq!(
        (page.entries.len(), page.next, page.complete_through),
        (3, Some(5), 5)
    );
    let page = ok(subject.read_log(LogQuery::after(5).limit(3)).await);
    assert_eq!((page.entries.len(), page.complete_through), (3, 8));
}

/// Blocks hold the same as pages, wherever they begin and end.
pub async fn the_log_is_read_in_blocks(places: Places) {
    let subject = eight_events(places).await;
    let full = event(&issue("3"))
        .event_id(Uuid::from_u128(9))
        .correlation_id("018f4e1c-7a2b-7c3d-8e4f-5a6b7c8d9e0f")
        .version("2.0.0")
        .tag("a")
        .extra("why", json_of_bytes(9));
    subject.append_one(full).await;
    let store = &*subject.store;
    let whole = whole_log(store).await;
    for after in 0..=9 {
        for through in [after, after + 1, 9, Position::MAX] {
            let mut events = Vec::new();
            let mut at = after;
            loop {
                let block = ok(store.read_block(at, through).await);
                for nth in 0..block.len() {
                    match ok(block.entry(nth)) {
                        EntryRef::Event(event) => events.push(event.to_event()),
                        EntryRef::Lost(lost) => panic!("nothing is lost here: {lost:?}"),
                    }
                }
                if block.len() == 0 {
                    break;
                }
                at = block.complete_through();
            }
            let end = through.min(9).max(after);
            assert_eq!(events, whole[after as usize..end as usize]);
        }
    }
    assert_invalid(store.read_block(10, Position::MAX).await.map(drop), "after");
}

/// Each filter admits what it names, exactly; within one list any may match.
pub async fn each_filter_admits_what_it_names(places: Places) {
    let subject = eight_events(places).await;
    let none = Filter::default;
    let texts = |texts: &[&'static str]| texts.iter().map(|&text| text.into()).collect();
    let types = |types| Filter {
        aggregate_types: texts(types),
        ..none()
    };
    let events = |types| Filter {
        event_types: texts(types),
        ..none()
    };
    let tags = |tags| Filter {
        tags: texts(tags),
        ..none()
    };
    let correlation = |id: &'static str| Filter {
        correlation_id: Some(id.into()),
        ..none()
    };
    let causation = |id: &'static str| Filter {
        causation_id: Some(id.into()),
        ..none()
    };
    let actor = |actor: &'static str| Filter {
        actor: Some(actor.into()),
        ..none()
    };
    for (filter, expected) in [
        (types(&["Order"]), &[2, 5, 8][..]),
        (types(&["Order", "Issue"]), &[1, 2, 3, 4, 5, 6, 7, 8]),
        (types(&["order"]), &[]),
        (events(&["closed"]), &[3, 6]),
        (events(&["paid", "closed", "unknown"]), &[3, 5, 6]),
        (tags(&["a"]), &[1, 2, 5]),
        (tags(&["A"]), &[7]),
        (tags(&["a", "b"]), &[1, 2, 5, 8]),
        (tags(&["c", "unknown"]), &[4, 8]),
        (tags(&["unknown"]), &[]),
        (correlation("x"), &[1, 2, 6]),
        (correlation("y"), &[4, 8]),
        (correlation("unknown"), &[]),
        (causation("c"), &[3, 5]),
        (causation("C"), &[7]),
        (actor("me"), &[1, 3, 5]),
        (actor("Me"), &[6]),
    ] {
        assert_eq!(found(&*subject, &filter).await, expected, "{filter:?}");
    }
}

/// All parts of a filter must match.
pub async fn all_parts_of_a_filter_must_match(places: Places) {
    let subject = eight_events(places).await;
    let mut filter = Filter {
        aggregate_types: vec!["Issue".into(), "Order".into()],
        tags: vec!["a".into(), "b".into()],
        ..Filter::default()
    };
    assert_eq!(found(&*subject, &filter).await, [1, 2, 5, 8]);
    filter.event_types = vec!["opened".into()];
    assert_eq!(found(&*subject, &filter).await, [1, 2, 8]);
    filter.correlation_id = Some("x".into());
    assert_eq!(found(&*subject, &filter).await, [1, 2]);
    filter.actor = Some("me".into());
    assert_eq!(found(&*subject, &filter).await, [1]);
    filter.from_timestamp = Some(at(11));
    assert_eq!(found(&*subject, &filter).await, [0; 0]);
}

/// Time filters look at the event's timestamp and include their bounds.
pub async fn time_filters_are_inclusive(places: Places) {
    let subject = eight_events(places).await;
    for (from, to, expected) in [
        (Some(15), Some(30), &[2, 3, 4, 6][..]),
        (Some(20), Some(20), &[2, 6]),
        (Some(41), None, &[8]),
        (None, Some(-10), &[7]),
        (Some(51), None, &[]),
        (Some(30), Some(10), &[]),
    ] {
        let filter = Filter {
            from_timestamp: from.map(at),
            to_timestamp: to.map(at),
            ..Filter::default()
        };
        assert_eq!(found(&*subject, &filter).await, expected);
    }
}

/// Events past `through` are left out; the read is complete through it, or through the head.
pub async fn through_ends_the_read(places: Places) {
    let subject = eight_events(places).await;
    for (after, through, expected) in [(0, 3, 1..4), (2, 5, 3..6), (4, 4, 0..0), (6, 99, 7..9)] {
        for limit in [1, 2, 100] {
            let mut query = LogQuery::after(after).limit(limit);
            query.through = through;
            let events = log_events(&*subject, query).await;
            assert_eq!(positions(&events), expected.clone().collect::<Vec<_>>());
        }
    }
}

/// Behind the head there is nothing yet; past it there is no place to read from.
pub async fn nothing_is_past_the_head(places: Places) {
    let subject = Subject::new(places).await;
    for head in [0, 3] {
        let page = ok(subject.read_log(LogQuery::after(head)).await);
        assert!(page.entries.is_empty());
        assert_eq!((page.next, page.complete_through), (None, head));
        assert_invalid(subject.read_log(LogQuery::after(head + 1)).await, "after");
        assert_invalid(subject.read_log(LogQuery::after(u64::MAX)).await, "after");
        subject.append(several(&issue("1"), 3)).await;
    }
}

/// A read whose filter matches nothing says that it is complete through the head.
pub async fn a_filter_that_matches_nothing_is_complete(places: Places) {
    let subject = eight_events(places).await;
    for filter in [
        Filter {
            tags: vec!["unknown".into()],
            ..Filter::default()
        },
        Filter {
            correlation_id: Some("unknown".into()),
            ..Filter::default()
        },
        Filter {
            event_types: vec!["unknown".into()],
            ..Filter::default()
        },
        Filter {
            actor: Some("unknown".into()),
            ..Filter::default()
        },
        Filter {
            from_timestamp: Some(Timestamp::MAX),
            ..Filter::default()
        },
    ] {
        let page = ok(subject.read_log(LogQuery::after(1).filter(filter)).await);
        assert!(page.entries.is_empty());
        assert_eq!((page.next, page.complete_through), (None, 8));
    }
}

/// Reserved streams are left out unless asked for; "complete through" counts them.
pub async fn reserved_streams_are_left_out_unless_asked(places: Places) {
    let subject = Subject::new(places).await;
    let reserved = |id: &str| {
        let event = event(&stream("$machine", id)).tag("t").correlation_id("x");
        Append::new(vec![event]).by_retold()
    };
    ok(subject.store.append(reserved("1")).await);
    subject
        .append_one(event(&issue("1")).tag("t").correlation_id("x"))
        .await;
    ok(subject.store.append(reserved("2")).await);
    let of_type = Filter {
        aggregate_types: vec!["$machine".into()],
        ..Filter::default()
    };
    let tagged = Filter {
        tags: vec!["t".into()],
        ..Filter::default()
    };
    let correlated = Filter {
        correlation_id: Some("x".into()),
        ..Filter::default()
    };
    for (mut filter, left_out, asked_for) in [
        (Filter::default(), &[2][..], &[1, 2, 3][..]),
        (of_type, &[], &[1, 3]),
        (tagged, &[2], &[1, 2, 3]),
        (correlated, &[2], &[1, 2, 3]),
    ] {
        let query = LogQuery::after(0).filter(filter.clone());
        assert_eq!(
            positions(&log_events(&*subject, query.clone()).await),
            left_out
        );
        let page = ok(subject.read_log(query).await);
        assert_eq!((page.next, page.complete_through), (None, 3));
        filter.include_reserved = true;
        let query = LogQuery::after(0).filter(filter);
        assert_eq!(positions(&log_events(&*subject, query).await), asked_for);
    }
    assert_eq!(ok(subject.head().await).position, 3, "the head counts them");
}

/// A page holds a bounded number of bytes, however many entries were asked for.
pub async fn the_bytes_of_a_page_are_bounded(places: Places) {
    let subject = Subject::new(places).await;
    let count = limits::PAGE_BYTES_MAX / limits::PAYLOAD_BYTES_MAX + 2;
    for nth in 0..count {
        let mut given = event(&issue(&nth.to_string()));
        given.payload = json_of_bytes(limits::PAYLOAD_BYTES_MAX);
        subject.append_one(given).await;
    }
    let page = ok(subject.read_log(LogQuery::after(0)).await);
    assert!(page.next.is_some() && page.entries.len() > 1);
    assert_eq!(whole_log(&*subject).await.len(), count);
}

/// One event is found by its id, reserved ones too; an unknown id finds nothing.
pub async fn an_event_is_found_by_its_id(places: Places) {
    let subject = eight_events(places).await;
    let append = Append::new(vec![event(&stream("$machine", "1"))]).by_retold();
    ok(subject.store.append(append).await);
    for event in whole_log(&*subject).await {
        let found = ok(subject.read_event(event.metadata.event_id).await);
        assert_eq!(found, Some(event));
    }
    assert_eq!(ok(subject.read_event(Uuid::now_v7()).await), None);
    assert_eq!(ok(subject.read_event(Uuid::nil()).await), None);
}

/// The head of the log is its newest event; of an empty log it is position 0.
pub async fn the_head_is_the_newest_event(places: Places) {
    let subject = Subject::new(places).await;
    let empty = LogHead {
        position: 0,
        persisted_at: Timestamp::MIN,
    };
    assert_eq!(ok(subject.head().await), empty);
    let recorded = subject.append(several(&issue("1"), 3)).await;
    let head = LogHead {
        position: 3,
        persisted_at: recorded[2].persisted_at,
    };
    assert_eq!(ok(subject.head().await), head);
    assert!(!subject.history().is_empty());
    assert_eq!(subject.log_id(), subject.log_id());
}
