//! Transitions: what the machines allow, what is refused without writing, races, and identity.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use retold::{
    Error, EventId, Expected, IllegalTransition, Json, Machine, NewEvent, Refusal, Retold,
    StoreError, StreamId, Transition, Transitioned,
};
use support::{block, comment, in_memory, issue, on_each_store, start_work};

/// The table of the shipped machines, written out: from, to, event, alias.
const ISSUE: &[(&str, &str, &str, Option<&str>)] = &[
    ("TODO", "IN_PROGRESS", "start_work", None),
    ("IN_PROGRESS", "BLOCKED", "block", None),
    ("BLOCKED", "IN_PROGRESS", "unblock", None),
    (
        "IN_PROGRESS",
        "IN_REVIEW",
        "submit_review",
        Some("submit_for_review"),
    ),
    ("IN_REVIEW", "IN_PROGRESS", "request_changes", None),
    ("IN_REVIEW", "MERGED", "merge", Some("approve")),
    ("IN_REVIEW", "REJECTED", "reject", None),
    ("MERGED", "DEPLOYED", "deploy", None),
    ("REJECTED", "TODO", "reopen", None),
    ("TODO", "CANCELED", "cancel", None),
    ("IN_PROGRESS", "CANCELED", "cancel", None),
    ("BLOCKED", "CANCELED", "cancel", None),
    ("IN_REVIEW", "CANCELED", "cancel", None),
    ("MERGED", "CANCELED", "cancel", None),
    ("REJECTED", "CANCELED", "cancel", None),
];

const EXECUTION: &[(&str, &str, &str, Option<&str>)] = &[
    ("PENDING", "RUNNING", "execute", None),
    ("RUNNING", "COMPLETED", "complete", None),
    ("RUNNING", "FAILED", "fail", None),
    ("RUNNING", "TIMEOUT", "timeout", None),
    ("PENDING", "CANCELLED", "cancel", None),
    ("RUNNING", "CANCELLED", "cancel", None),
    ("FAILED", "PENDING", "retry", None),
];

/// Brings a new stream into a state, unchecked.
async fn bring_to(retold: &Retold, aggregate_type: &str, state: &str, id: &str) -> u64 {
    let machine = retold.machines().get(aggregate_type).unwrap();
    if machine.initial() == state {
        return 0;
    }
    let leads_there = |rule: &&retold::TransitionRule| rule.to == state;
    let rule = machine.transitions().iter().find(leads_there).unwrap();
    let stream = StreamId::new(aggregate_type, id).unwrap();
    let payload = serde_json::json!({"toState": state});
    let event = NewEvent::new(stream, rule.name.as_str(), &payload).unwrap();
    retold.append(event).trust_transitions().await.unwrap();
    1
}

fn illegal(result: Result<Transitioned, Error>) -> IllegalTransition {
    match result {
        Err(Error::IllegalTransition(illegal)) => *illegal,
        other => panic!("expected an illegal transition, got {other:?}"),
    }
}

async fn head(retold: &Retold) -> u64 {
    retold.store().head().await.unwrap().position
}

#[tokio::test]
async fn exactly_the_edges_of_the_tables_can_be_taken() {
    for (machine, table) in [(Machine::issue(), ISSUE), (Machine::execution(), EXECUTION)] {
        let retold = in_memory().await;
        let aggregate_type = machine.aggregate_type();
        let mut names: Vec<&str> = table.iter().map(|edge| edge.2).collect();
        names.extend(table.iter().filter_map(|edge| edge.3));
        let mut nth = 0;
        for from in machine.states() {
            for to in machine.states() {
                for name in &names {
                    nth += 1;
                    let id = nth.to_string();
                    let before = bring_to(&retold, aggregate_type, from, &id).await;
                    let transition = Transition::new(aggregate_type, id.as_str());
                    let transition = transition.from(from.as_str()).to(to.as_str());
                    let result = retold.transition(transition.event(*name)).await;
                    let edge = table.iter().find(|edge| {
                        edge.0 == from && edge.1 == to && (edge.2 == *name || edge.3 == Some(name))
                    });
                    match edge {
                        Some(edge) => {
                            let done = result.unwrap();
                            assert_eq!(done.status, *to);
                            assert_eq!(done.event.event_type, edge.2);
                            assert_eq!(done.event.sequence_number, before + 1);
                        }
                        None => {
                            let illegal = illegal(result);
                            assert_eq!(illegal.current_state, *from);
                            let stream = StreamId::new(aggregate_type, id).unwrap();
                            let head = retold.store().stream_head(&stream).await.unwrap();
                            assert_eq!(head.map_or(0, |head| head.sequence_number), before);
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_says_why_and_what_is_possible_and_writes_nothing() {
    let retold = in_memory().await;
    retold.transition(start_work("1")).await.unwrap();
    let before = head(&retold).await;

    let stale = illegal(retold.transition(start_work("1")).await);
    assert_eq!(stale.refusal, Refusal::StaleFromState);
    assert_eq!(stale.current_state, "IN_PROGRESS");
    assert_eq!(stale.from_state.as_deref(), Some("TODO"));
    let review = &stale.available_transitions[1];
    assert_eq!(review.event, "submit_review");
    assert_eq!(review.aliases, ["submit_for_review"]);
    assert_eq!(review.to_state, "IN_REVIEW");

    let missing_from = Transition::new("Issue", "1").to("BLOCKED").event("block");
    let stale = illegal(retold.transition(missing_from).await);
    assert_eq!(stale.refusal, Refusal::StaleFromState);
    let no_edge = illegal(retold.transition(block("1").to("DEPLOYED")).await);
    assert_eq!(no_edge.refusal, Refusal::NoSuchEdge);
    let wrong_name = illegal(retold.transition(block("1").event("stop")).await);
    assert_eq!(wrong_name.refusal, Refusal::WrongName);
    let text = Error::IllegalTransition(Box::new(wrong_name)).to_string();
    assert_eq!(
        text,
        "move Issue/1 from IN_PROGRESS to BLOCKED by stop: the transition that leads there has \
         another name; it is IN_PROGRESS, from where it can block (to BLOCKED), submit_review (to \
         IN_REVIEW), cancel (to CANCELED)"
    );

    for incomplete in [
        Transition::new("Issue", "1")
            .from("IN_PROGRESS")
            .event("block"),
        Transition::new("Issue", "1")
            .from("IN_PROGRESS")
            .to("BLOCKED"),
        block("1").extra("$machine", "trust"),
        block("1").tag(""),
        block(".."),
    ] {
        let result = retold.transition(incomplete).await;
        let is_invalid = matches!(result, Err(Error::Store(StoreError::Invalid { .. })));
        assert!(is_invalid, "{result:?}");
    }
    let unknown = Transition::new("Order", "1").to("PAID").event("pay");
    let unknown = retold.transition(unknown).await;
    assert!(matches!(unknown, Err(Error::UnknownMachine { .. })));
    assert_eq!(head(&retold).await, before);
}

#[tokio::test]
async fn null_stands_for_no_transition_yet_and_is_recorded_as_the_initial_state() {
    let retold = in_memory().await;
    retold.append(comment("1")).await.unwrap();
    let state = retold.state("Issue", "1").await.unwrap();
    assert_eq!(state.status.as_deref(), Some("TODO"));
    assert_eq!(state.transition_count, 0);
    let start = Transition::new("Issue", "1")
        .to("IN_PROGRESS")
        .event("start_work");
    let done = retold.transition(start.clone()).await.unwrap();
    assert_eq!(
        done.event.payload.as_str(),
        r#"{"fromState":"TODO","toState":"IN_PROGRESS","event":"start_work"}"#
    );
    // The same value again is the same transition, although no id was given.
    let again = retold.transition(start).await.unwrap();
    assert!(!again.is_new);
    assert_eq!(again.event, done.event);
}

#[tokio::test]
async fn an_alias_is_kept_as_it_was_sent_under_the_first_name() {
    let retold = in_memory().await;
    retold.transition(start_work("1")).await.unwrap();
    let submit = Transition::new("Issue", "1")
        .from("IN_PROGRESS")
        .to("IN_REVIEW");
    let done = retold
        .transition(submit.event("submit_for_review"))
        .await
        .unwrap();
    assert_eq!(done.event.event_type, "submit_review");
    let history = retold.reconstruct("Issue", "1").await.unwrap();
    let history = history.state_history.unwrap();
    assert_eq!(history[1].event, "submit_for_review");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_racing_for_one_transition_exactly_one_wins() {
    on_each_store(|retold| async move {
        retold.append(comment("1")).await.unwrap();
        let racing = (0..64).map(|_| {
            let retold = retold.clone();
            tokio::spawn(async move { retold.transition(start_work("1")).await })
        });
        let mut won = 0;
        for task in racing.collect::<Vec<_>>() {
            match task.await.unwrap() {
                Ok(done) => {
                    assert!(done.is_new);
                    won += 1;
                }
                other => assert_eq!(illegal(other).refusal, Refusal::StaleFromState),
            }
        }
        assert_eq!(won, 1);
        assert_eq!(head(&retold).await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn retries_racing_with_each_other_all_get_the_one_result() {
    let retold = in_memory().await;
    let transition = start_work("1");
    let racing = (0..32).map(|_| {
        let (retold, transition) = (retold.clone(), transition.clone());
        tokio::spawn(async move { retold.transition(transition).await.unwrap() })
    });
    let mut new = 0;
    for task in racing.collect::<Vec<_>>() {
        let done = task.await.unwrap();
        assert_eq!(done.event.position, 1);
        new += u32::from(done.is_new);
    }
    assert_eq!(new, 1);
}

#[tokio::test]
async fn what_another_handle_wrote_is_seen_before_refusing_and_by_the_append() {
    let mine = in_memory().await;
    let theirs = Retold::builder()
        .builtin_machines()
        .store(mine.store().clone());
    let theirs = theirs.build().await.unwrap();
    mine.transition(start_work("1")).await.unwrap();
    theirs.transition(block("1")).await.unwrap();
    // My cached state would refuse this.
    let unblocked = mine.transition(support::unblock("1")).await.unwrap();
    assert_eq!(unblocked.event.sequence_number, 3);
    // Theirs would accept this.
    let refused = illegal(theirs.transition(support::unblock("1")).await);
    assert_eq!(refused.current_state, "IN_PROGRESS");
}

#[tokio::test]
async fn a_known_event_id_is_answered_first_whatever_the_state_and_the_machine() {
    let retold = in_memory().await;
    let event_id = EventId::now_v7();
    let first = retold
        .transition(start_work("1").event_id(event_id))
        .await
        .unwrap();
    retold.transition(block("1")).await.unwrap();
    let without_machine = Retold::builder().store(retold.store().clone());
    let without_machine = without_machine.build().await.unwrap();
    for retold in [&retold, &without_machine] {
        let again = retold.transition(start_work("1").event_id(event_id)).await;
        assert_eq!(again.unwrap().event, first.event);
        for other in [
            start_work("2"),
            block("1"),
            start_work("1").reason("another"),
        ] {
            let other = retold.transition(other.event_id(event_id)).await;
            let is_conflict = matches!(
                other,
                Err(Error::Store(StoreError::IdentityConflict { .. }))
            );
            assert!(is_conflict, "{other:?}");
        }
    }
    assert_eq!(head(&retold).await, 2);
}

#[tokio::test]
async fn an_expectation_is_looked_at_after_legality() {
    let retold = in_memory().await;
    retold.transition(start_work("1")).await.unwrap();
    let expecting = |transition, expected| retold.transition(transition).expect(expected);
    illegal(expecting(start_work("1"), Expected::Sequence(7)).await);
    match expecting(block("1"), Expected::Sequence(7)).await {
        Err(Error::Store(StoreError::Conflict { conflicts, .. })) => {
            assert_eq!(conflicts[0].expected, Expected::Sequence(7));
            assert_eq!(conflicts[0].actual, 1);
        }
        other => panic!("{other:?}"),
    }
    expecting(block("1"), Expected::Sequence(1)).await.unwrap();
}

#[tokio::test]
async fn a_plain_append_must_not_use_the_name_of_a_transition() {
    let retold = in_memory().await;
    for name in ["start_work", "submit_for_review"] {
        let event = NewEvent::new(issue("1"), name, &serde_json::json!({"toState": "MERGED"}));
        let refused = retold.append(vec![comment("1"), event.unwrap()]).await;
        match refused {
            Err(Error::TransitionName {
                event_type,
                event_ids,
                ..
            }) => {
                assert_eq!(event_type, name);
                assert_eq!(event_ids.len(), 2);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(head(&retold).await, 0);
    // Another type may use it, and then it is an event like any other.
    let order = StreamId::new("Order", "1").unwrap();
    let event = NewEvent::new(order, "start_work", &1).unwrap();
    retold.append(event).await.unwrap();
}

#[tokio::test]
async fn an_event_that_was_there_before_its_machine_stays_what_it_was() {
    let retold = Retold::open("memory:").await.unwrap();
    let payload = serde_json::json!({"toState": "MERGED"});
    let event = NewEvent::new(issue("1"), "start_work", &payload).unwrap();
    retold.append(event.clone()).await.unwrap();
    retold.machines().add(Machine::issue()).await.unwrap();
    assert!(!retold.append(event).await.unwrap().is_new);
    let state = retold.state("Issue", "1").await.unwrap();
    assert_eq!(state.status.as_deref(), Some("TODO"));
    assert_eq!(state.transition_count, 0);
}

#[tokio::test]
async fn trusted_transitions_are_recorded_unchecked_and_folded() {
    let retold = in_memory().await;
    let trusted =
        |name: &str, payload: &serde_json::Value| NewEvent::new(issue("1"), name, payload).unwrap();
    let history = vec![
        trusted("approve", &serde_json::json!({"toState": "MERGED"})),
        comment("1"),
        trusted(
            "reopen",
            &serde_json::json!({"fromState": "MERGED", "toState": "ANYTHING"}),
        ),
    ];
    let appended = retold.append(history).trust_transitions().await.unwrap();
    let mark = |nth: usize| {
        appended.events[nth]
            .metadata
            .extra("$machine")
            .map(Json::as_str)
    };
    assert_eq!(
        [mark(0), mark(1), mark(2)],
        [Some("\"trust\""), None, Some("\"trust\"")]
    );
    let state = retold.reconstruct("Issue", "1").await.unwrap();
    assert_eq!(state.status.as_deref(), Some("ANYTHING"));
    assert_eq!(state.transition_count, 2);
    let history = state.state_history.unwrap();
    assert_eq!(history[0].from, None);
    assert_eq!(history[0].event, "approve");

    for payload in [serde_json::json!({}), serde_json::json!({"toState": 7})] {
        let refused = retold
            .append(trusted("merge", &payload))
            .trust_transitions()
            .await;
        assert!(
            matches!(refused, Err(Error::Store(StoreError::Invalid { field, .. })) if field == "payload")
        );
    }
    let forged = comment("1").extra("$machine", Json::null());
    for call in [
        retold.append(forged.clone()),
        retold.append(forged).trust_transitions(),
    ] {
        assert!(matches!(
            call.await,
            Err(Error::Store(StoreError::Invalid { .. }))
        ));
    }
}

#[tokio::test]
async fn a_plain_append_moves_the_cached_state_along() {
    let retold = Arc::new(in_memory().await);
    retold.transition(start_work("1")).await.unwrap();
    let batch = vec![comment("1"), comment("2"), comment("1")];
    retold.append(batch).await.unwrap();
    let done = retold.transition(block("1")).await.unwrap();
    assert_eq!(done.event.sequence_number, 4);
}

#[tokio::test]
async fn an_expectation_of_several_streams_names_each() {
    let retold = in_memory().await;
    let both = || [comment("1"), comment("2")];
    let unclear = retold.append(both()).expect(Expected::NoStream).await;
    assert!(
        matches!(unclear, Err(Error::Store(StoreError::Invalid { field, .. })) if field == "expected")
    );
    let call = retold
        .append(both())
        .expect_stream(issue("1"), Expected::NoStream);
    call.expect_stream(issue("2"), Expected::NoStream)
        .await
        .unwrap();
    let call = retold
        .append(both())
        .expect_stream(issue("3"), Expected::StreamExists);
    assert!(matches!(
        call.await,
        Err(Error::Store(StoreError::Conflict { .. }))
    ));
}

#[tokio::test]
async fn a_state_that_fell_out_of_the_cache_is_derived_again() {
    for states_max in [0, 1] {
        let builder = Retold::builder().builtin_machines();
        let builder = builder.hot_states_max(states_max);
        let retold = builder.open("memory:").await.unwrap();
        for id in ["1", "2", "3"] {
            retold.transition(start_work(id)).await.unwrap();
        }
        for id in ["1", "2", "3"] {
            let done = retold.transition(block(id)).await.unwrap();
            assert_eq!(done.event.sequence_number, 2);
        }
    }
}
