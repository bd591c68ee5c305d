//! The usage of the first page, call by call, on every kind of store: what this crate is for.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use retold::{
    BoxError, Error, EventId, Filter, LogQuery, NewEvent, RecordedEvent, Reducer, Retold, StreamId,
    Timestamp, Transition, aggregate, topics,
};
use support::{block, eventually, issue, on_each_store, start_work, unblock};

#[tokio::test]
async fn a_basic_state_transition() {
    on_each_store(|retold| async move {
        let transition = start_work("42")
            .actor("user-123")
            .reason("Starting implementation")
            .context(&serde_json::json!({"sprint": 7}));
        let done = retold.transition(transition).await.unwrap();
        assert!(done.is_new);
        assert_eq!(done.status, "IN_PROGRESS");
        let event = done.event;
        assert_eq!(event.stream, issue("42"));
        assert_eq!(event.event_type, "start_work");
        assert_eq!(
            event.payload.as_str(),
            r#"{"fromState":"TODO","toState":"IN_PROGRESS","event":"start_work","context":{"sprint":7},"reason":"Starting implementation"}"#
        );
        assert_eq!(&*event.metadata.version, "1.0.0");
        assert_eq!(event.metadata.actor.as_deref(), Some("user-123"));
        assert_eq!(event.sequence_number, 1);
        let machine = retold.machines().get(aggregate::ISSUE).unwrap();
        let judged_by = event.metadata.extra("$machine").unwrap();
        assert_eq!(
            judged_by.decode::<String>().unwrap(),
            machine.fingerprint()
        );
    })
    .await;
}

#[tokio::test]
async fn state_reconstruction() {
    on_each_store(|retold| async move {
        retold.transition(start_work("42")).await.unwrap();
        retold.append(support::comment("42")).await.unwrap();
        let blocked = block("42").actor("user-1").reason("waiting");
        retold.transition(blocked).await.unwrap();

        let state = retold.reconstruct("Issue", "42").await.unwrap();
        assert!(state.exists);
        assert_eq!(state.status.as_deref(), Some("BLOCKED"));
        assert_eq!(state.transition_count, 2);
        assert_eq!(state.sequence_number, 3);
        let history = state.state_history.as_ref().unwrap();
        assert_eq!(history.len(), 2);
        assert_eq!(history[1].from.as_deref(), Some("IN_PROGRESS"));
        assert_eq!(history[1].to.as_deref(), Some("BLOCKED"));
        assert_eq!(history[1].event, "block");
        assert_eq!(history[1].reason.as_deref(), Some("waiting"));
        assert_eq!(history[1].actor.as_deref(), Some("user-1"));
        assert_eq!(history[1].sequence_number, 3);
        assert_eq!(state.last_transition_at, Some(history[1].timestamp));

        let json = serde_json::to_value(&state).unwrap();
        assert_eq!(json["aggregateType"], "Issue");
        assert_eq!(json["issueId"], "42");
        assert_eq!(json["stateHistory"][0]["sequenceNumber"], 1);
        assert_eq!(json["transitionCount"], 2);
        assert!(json.get("final").is_none() && json.get("laterAtOrBefore").is_none());
    })
    .await;
}

#[tokio::test]
async fn point_in_time_by_sequence_and_by_date() {
    on_each_store(|retold| async move {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let started = start_work("42").timestamp(at("2023-12-01"));
        retold.transition(started).await.unwrap();
        let blocked = block("42").timestamp(at("2024-02-01"));
        retold.transition(blocked).await.unwrap();

        let early = retold.reconstruct("Issue", "42").at_sequence(1).await;
        assert_eq!(early.unwrap().status.as_deref(), Some("IN_PROGRESS"));
        let dated = retold
            .reconstruct("Issue", "42")
            .at_timestamp(at("2024-01-01"));
        let dated = dated.await.unwrap();
        assert_eq!(dated.status.as_deref(), Some("IN_PROGRESS"));
        assert_eq!(dated.state_history.unwrap().len(), 1);
        let before = retold.state("Issue", "42").at_timestamp(at("2023-01-01"));
        let before = before.await.unwrap();
        assert!(!before.exists);
        assert_eq!(before.status, None);
        let twice = retold
            .state("Issue", "42")
            .at_sequence(1)
            .at_position(1)
            .await;
        assert!(matches!(
            twice,
            Err(Error::Store(retold::StoreError::Invalid { .. }))
        ));
    })
    .await;
}

#[tokio::test]
async fn the_event_stream() {
    on_each_store(|retold| async move {
        retold.transition(start_work("42")).await.unwrap();
        for _ in 0..250 {
            retold.append(support::comment("42")).await.unwrap();
        }
        let events = retold.events("Issue", "42").all().await.unwrap();
        let numbers: Vec<u64> = events.iter().map(|event| event.sequence_number).collect();
        assert_eq!(numbers, (1..=251).collect::<Vec<u64>>());

        let page = retold
            .events("Issue", "42")
            .backward()
            .limit(2)
            .await
            .unwrap();
        let numbers: Vec<u64> = page
            .into_events()
            .unwrap()
            .iter()
            .map(|event| event.sequence_number)
            .collect();
        assert_eq!(numbers, [251, 250]);
        let some = retold
            .events("Issue", "42")
            .event_type("issue.commented")
            .from_sequence(100)
            .to_sequence(200)
            .all();
        assert_eq!(some.await.unwrap().len(), 101);
        let unknown = retold.events("Issue", "unknown").all().await;
        assert!(matches!(
            unknown,
            Err(Error::Store(retold::StoreError::NotFound { .. }))
        ));
    })
    .await;
}

/// Goes around between two states, `transitions` times.
async fn go_around(retold: &Retold, id: &str, transitions: usize) {
    for nth in 0..transitions {
        let next = if nth % 2 == 0 { block(id) } else { unblock(id) };
        retold.transition(next).await.unwrap();
    }
}

#[tokio::test]
async fn snapshots_by_hand_and_by_themselves() {
    on_each_store(|retold| async move {
        retold.transition(start_work("42")).await.unwrap();
        let snapshots = retold.snapshots("Issue", "42");
        assert_eq!(snapshots.latest().await.unwrap(), None);
        let made = snapshots
            .create()
            .force()
            .metadata(&serde_json::json!({"why": "before the release"}))
            .await
            .unwrap();
        assert!(made.is_new);
        let latest = snapshots.latest().await.unwrap().unwrap();
        assert_eq!(latest.sequence_number, 1);
        assert_eq!(latest.metadata.as_str(), r#"{"why":"before the release"}"#);

        go_around(&retold, "42", 60).await;
        let latest = snapshots.latest().await.unwrap().unwrap();
        assert_eq!(latest.sequence_number, 50);
        let state = retold.state("Issue", "42").await.unwrap();
        assert_eq!(state.transition_count, 61);
        assert_eq!(state.status.as_deref(), Some("IN_PROGRESS"));
    })
    .await;
}

#[tokio::test]
async fn correlation_and_causation() {
    on_each_store(|retold| async move {
        let correlation_id = EventId::now_v7().to_string();
        let first = retold
            .transition(start_work("42").correlation_id(correlation_id.as_str()))
            .await
            .unwrap();
        let first_id = first.event.metadata.event_id.to_string();
        let execute = Transition::new(aggregate::EXECUTION, "e1")
            .from("PENDING")
            .to("RUNNING")
            .event("execute")
            .correlation_id(correlation_id.as_str())
            .causation_id(first_id.as_str());
        retold.transition(execute).await.unwrap();

        let filter = Filter {
            correlation_id: Some(correlation_id.into()),
            ..Filter::default()
        };
        let story = retold.log(LogQuery::after(0).filter(filter)).await.unwrap();
        let story: Vec<RecordedEvent> = story
            .entries
            .into_iter()
            .map(|entry| entry.into_event().unwrap())
            .collect();
        assert_eq!(story.len(), 2);
        assert_eq!(story[1].event_type, "execute");
        assert_eq!(
            story[1].metadata.causation_id.as_deref(),
            Some(first_id.as_str())
        );
        let found = retold.event(first.event.metadata.event_id).await.unwrap();
        assert_eq!(found, Some(first.event));
    })
    .await;
}

#[tokio::test]
async fn a_duplicate_is_answered_with_the_first_result() {
    on_each_store(|retold| async move {
        let event_id = EventId::now_v7();
        let first = retold.transition(start_work("42").event_id(event_id)).await;
        let first = first.unwrap();
        retold.transition(block("42")).await.unwrap();

        let again = retold.transition(start_work("42").event_id(event_id)).await;
        let again = again.unwrap();
        assert!(!again.is_new);
        assert_eq!(again.event, first.event);
        assert_eq!(again.status, "IN_PROGRESS");
        let state = retold.state("Issue", "42").await.unwrap();
        assert_eq!(state.transition_count, 2);
    })
    .await;
}

#[tokio::test]
async fn state_changes_are_on_the_bus() {
    on_each_store(|retold| async move {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handler = {
            let seen = seen.clone();
            move |event: retold::BusEvent| {
                let seen = seen.clone();
                async move {
                    seen.lock().unwrap().push(event);
                    Ok::<(), Error>(())
                }
            }
        };
        retold
            .bus()
            .subscribe(topics::ISSUE_EVENTS, handler)
            .await
            .unwrap();
        let transition = start_work("42")
            .actor("user-123")
            .reason("go")
            .correlation_id("c");
        let done = retold.transition(transition).await.unwrap();
        eventually("delivery", || seen.lock().unwrap().len() == 1).await;

        let event = seen.lock().unwrap()[0].clone();
        assert_eq!(event.topic, topics::ISSUE_EVENTS);
        let json = serde_json::to_value(&event).unwrap();
        let expected = serde_json::json!({
            "type": "issue.state.changed",
            "payload": {"issueId": "42", "from": "TODO", "to": "IN_PROGRESS", "reason": "go"},
            "metadata": {
                "eventId": done.event.metadata.event_id.to_string(),
                "correlationId": "c",
                "userId": "user-123",
                "position": done.event.position,
                "timestamp": done.event.metadata.timestamp,
            },
        });
        assert_eq!(json, expected);
    })
    .await;
}

/// Adds up what an account holds.
struct Balance;

impl Reducer for Balance {
    type State = i64;

    fn name(&self) -> &str {
        "balance"
    }

    fn initial(&self) -> i64 {
        0
    }

    fn apply(&self, balance: &mut i64, event: &RecordedEvent) -> Result<(), BoxError> {
        *balance += event.payload.decode::<i64>()?;
        Ok(())
    }
}

#[tokio::test]
async fn a_replay_with_a_reducer_of_ones_own_from_a_snapshot() {
    on_each_store(|retold| async move {
        let account = StreamId::new("Account", "7").unwrap();
        for amount in 1..=10 {
            let event = NewEvent::new(account.clone(), "account.credited", &amount).unwrap();
            retold.append(event).await.unwrap();
        }
        let early = retold
            .replay("Account", "7", Balance)
            .at_sequence(4)
            .snapshot();
        assert_eq!(early.await.unwrap().state, 10);
        let replayed = retold
            .replay("Account", "7", Balance)
            .from_snapshot()
            .batch(2);
        let replayed = replayed.await.unwrap();
        assert_eq!(replayed.state, 55);
        assert_eq!(replayed.replayed_from, 4);
        assert_eq!(replayed.sequence_number, 10);
        let all = retold.replay("Account", "7", Balance).await.unwrap();
        assert_eq!((all.state, all.replayed_from), (55, 0));
        let counted = retold.replay_with("Account", "7", 0, |count, _| *count += 1);
        assert_eq!(counted.at_sequence(3).await.unwrap().state, 3);

        let odd = NewEvent::new(account, "account.renamed", &"savings").unwrap();
        retold.append(odd).await.unwrap();
        match retold.replay("Account", "7", Balance).await {
            Err(Error::Reducer {
                sequence_number, ..
            }) => assert_eq!(sequence_number, 11),
            other => panic!("{other:?}"),
        }
    })
    .await;
}

/// What was appended, added and snapshotted is there when a folder is opened again.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_folder_keeps_events_machines_and_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let open = || Retold::builder().open(data.clone());
    let retold = open().await.unwrap();
    let machines = retold.machines();
    machines.add(retold::Machine::issue()).await.unwrap();
    retold.transition(start_work("42")).await.unwrap();
    retold.snapshots("Issue", "42").create().await.unwrap();
    retold.close().await.unwrap();
    drop(retold);

    let retold = open().await.unwrap();
    assert_eq!(retold.machines().list().len(), 1);
    let state = retold.state("Issue", "42").await.unwrap();
    assert_eq!(state.status.as_deref(), Some("IN_PROGRESS"));
    let snapshot = retold.snapshots("Issue", "42").latest().await.unwrap();
    assert_eq!(snapshot.unwrap().sequence_number, 1);
    retold.close().await.unwrap();
}

/// A snapshot that is ahead of the log shows that the log lost its tail: nothing may be appended
/// in its place before somebody has looked.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_folder_whose_log_is_behind_its_snapshots_refuses_appends() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let open = |folder| Retold::builder().builtin_machines().open(folder);
    let retold = open(data.clone()).await.unwrap();
    retold.transition(start_work("42")).await.unwrap();
    retold.close().await.unwrap();
    drop(retold);
    copy_folder(&data, &copy);

    let retold = open(data.clone()).await.unwrap();
    retold.transition(block("42")).await.unwrap();
    retold
        .snapshots("Issue", "42")
        .create()
        .force()
        .await
        .unwrap();
    retold.close().await.unwrap();
    drop(retold);

    std::fs::copy(data.join("state.db"), copy.join("state.db")).unwrap();
    let retold = open(copy).await.unwrap();
    let state = retold.state("Issue", "42").await.unwrap();
    assert_eq!(state.status.as_deref(), Some("IN_PROGRESS"));
    let refused = retold.transition(block("42")).await;
    assert!(
        matches!(
            refused,
            Err(Error::Store(retold::StoreError::Corrupt { .. }))
        ),
        "{refused:?}"
    );
    retold.close().await.unwrap();
}

#[cfg(feature = "sqlite")]
fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
