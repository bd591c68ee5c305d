//! Properties: whatever the events, their dates and the snapshots, a state as it was is the fold
//! of the prefix that the moment selects, and it is the same with snapshots and without.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use retold::{
    BoxError, Error, Machine, NewEvent, PointInTime, RecordedEvent, Reducer, Retold, State,
    StoreError, StreamId, Transition,
};
use support::{ClockByHand, block_on, comment, in_memory, seconds};

/// Goes to and fro between two states, with a snapshot at every third event.
const LAMP: &str = r#"
    type = "Lamp"
    initial = "OFF"
    states = ["OFF", "ON"]
    snapshot_every = 3

    [[transition]]
    name = "switch_on"
    from = ["OFF"]
    to = "ON"

    [[transition]]
    name = "switch_off"
    from = ["ON"]
    to = "OFF"
"#;

/// Seconds that an event may be dated at, and the clock moves within.
const SECONDS: i64 = 12;

#[derive(Debug, Clone)]
enum Step {
    Switch,
    Note,
    /// An event of another stream, so that positions have gaps.
    Elsewhere,
    Snapshot,
}

/// What happens, the date it is given, and how many seconds pass before.
fn steps() -> impl Strategy<Value = Vec<(Step, i64, i64)>> {
    let step = prop_oneof![
        4 => Just(Step::Switch),
        3 => Just(Step::Note),
        1 => Just(Step::Elsewhere),
        1 => Just(Step::Snapshot),
    ];
    proptest::collection::vec((step, 0..SECONDS, 0..2_i64), 1..24)
}

fn note(id: &str, dated: i64) -> NewEvent {
    let stream = StreamId::new("Lamp", id).unwrap();
    let event = NewEvent::new(stream, "noted", &dated).unwrap();
    event.timestamp(seconds(dated))
}

/// Plays the steps and returns the handle, whose snapshots are all made.
async fn play(steps: &[(Step, i64, i64)]) -> Retold {
    let clock = ClockByHand::new();
    let machine = Machine::from_toml(LAMP).unwrap();
    let builder = Retold::builder().machine(machine).clock(clock.clone());
    let retold = builder.open("memory:").await.unwrap();
    retold.append(note("1", 0)).await.unwrap();
    let (mut is_on, mut now) = (false, 0);
    for (step, dated, pass) in steps {
        now += pass;
        clock.set(now);
        match step {
            Step::Switch => {
                let (to, name) = [("ON", "switch_on"), ("OFF", "switch_off")][usize::from(is_on)];
                let mut switch = Transition::new("Lamp", "1").to(to).event(name);
                let state = retold.state("Lamp", "1").await.unwrap();
                if state.transition_count > 0 {
                    switch = switch.from(state.status.unwrap());
                }
                let switch = switch.timestamp(seconds(*dated)).reason("dark");
                retold.transition(switch).await.unwrap();
                is_on = !is_on;
            }
            Step::Note => drop(retold.append(note("1", *dated)).await.unwrap()),
            Step::Elsewhere => drop(retold.append(note("2", *dated)).await.unwrap()),
            Step::Snapshot => {
                let point = PointInTime::Timestamp(seconds(*dated));
                let replay = retold.replay("Lamp", "1", Dates).at(point);
                replay.from_snapshot().snapshot().await.unwrap();
                retold
                    .snapshots("Lamp", "1")
                    .create()
                    .force()
                    .await
                    .unwrap();
            }
        }
    }
    // Reading them waits for those in progress.
    retold.snapshots("Lamp", "1").latest().await.unwrap();
    retold
}

/// Joins the dates of the events: a state that tells which of them were folded.
struct Dates;

impl Reducer for Dates {
    type State = String;

    fn name(&self) -> &str {
        "dates"
    }

    fn initial(&self) -> String {
        String::new()
    }

    fn apply(&self, dates: &mut String, event: &RecordedEvent) -> Result<(), BoxError> {
        *dates += &format!("{} {};", event.sequence_number, event.metadata.timestamp);
        Ok(())
    }
}

fn every_moment(head: u64) -> Vec<PointInTime> {
    let mut moments = vec![PointInTime::Head];
    moments.extend((0..=head + 1).map(PointInTime::Sequence));
    moments.extend((0..=head + 1).map(PointInTime::Position));
    for second in -1..=SECONDS * 2 {
        moments.push(PointInTime::Timestamp(seconds(second)));
        moments.push(PointInTime::PersistedAt(seconds(second)));
    }
    moments
}

/// Compares a state with what the definition says about the events.
fn check_against_events(state: &State, events: &[RecordedEvent], point: PointInTime) {
    let prefix: Vec<_> = events.iter().take_while(|e| point.includes(e)).collect();
    let transitions: Vec<_> = prefix.iter().filter(|e| e.event_type != "noted").collect();
    assert_eq!(state.exists, !prefix.is_empty());
    assert_eq!(state.transition_count, transitions.len() as u64);
    let last = prefix.last();
    assert_eq!(state.sequence_number, last.map_or(0, |e| e.sequence_number));
    assert_eq!(state.position, last.map_or(0, |e| e.position));
    let status = match transitions.last() {
        _ if prefix.is_empty() => None,
        None => Some("OFF"),
        Some(event) if event.event_type == "switch_on" => Some("ON"),
        Some(_) => Some("OFF"),
    };
    assert_eq!(state.status.as_deref(), status);
    let last_transition_at = transitions.last().map(|event| event.metadata.timestamp);
    assert_eq!(state.last_transition_at, last_transition_at);
    if let Some(count) = state.later_at_or_before {
        let behind = events.iter().skip(prefix.len());
        assert_eq!(count, behind.filter(|e| point.includes(e)).count() as u64);
    }
}

async fn check_every_moment(retold: &Retold) {
    // The same log without any snapshot, and nothing is appended through it.
    let machine = Machine::from_toml(LAMP).unwrap();
    let bare = Retold::builder()
        .machine(machine)
        .store(retold.store().clone());
    let bare = bare.build().await.unwrap();
    let events = retold.events("Lamp", "1").all().await.unwrap();
    let head = retold.store().head().await.unwrap();
    for point in every_moment(head.position) {
        let ask = |retold: &Retold| {
            let state = retold.state("Lamp", "1").at(point).with_transitions();
            match point {
                PointInTime::Timestamp(_) => state.count_later(),
                _ => state,
            }
        };
        let with = ask(retold).await.unwrap();
        let without = ask(&bare).await.unwrap();
        assert_eq!(with, without, "{point:?}");
        check_against_events(&with, &events, point);
        let is_final = match point {
            PointInTime::PersistedAt(instant) => Some(head.persisted_at > instant),
            _ => None,
        };
        assert_eq!(with.is_final, is_final);

        let mut history = retold.reconstruct("Lamp", "1").at(point).await.unwrap();
        let entries = history.state_history.take().unwrap();
        assert_eq!(entries.len() as u64, history.transition_count);
        assert_eq!(history.status, with.status);

        let with = retold
            .replay("Lamp", "1", Dates)
            .at(point)
            .from_snapshot()
            .await;
        let without = retold.replay("Lamp", "1", Dates).at(point).batch(1).await;
        let (with, without) = (with.unwrap(), without.unwrap());
        assert_eq!(with.state, without.state, "{point:?}");
        assert_eq!(with.position, without.position);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_state_is_the_fold_of_its_prefix_with_snapshots_and_without(steps in steps()) {
        block_on(async {
            let retold = play(&steps).await;
            check_every_moment(&retold).await;
        });
    }
}

#[tokio::test]
async fn an_event_dated_earlier_behind_a_later_one_is_left_out_and_counted() {
    let retold = in_memory().await;
    for dated in [10, 30, 20, 40, 5] {
        let event = comment("1").timestamp(seconds(dated));
        retold.append(event).await.unwrap();
    }
    let at = |dated| retold.state("Issue", "1").at_timestamp(seconds(dated));
    let state = at(25).count_later().await.unwrap();
    assert_eq!(
        (state.sequence_number, state.later_at_or_before),
        (1, Some(2))
    );
    assert_eq!(at(25).await.unwrap().later_at_or_before, None);
    assert!(!at(7).await.unwrap().exists);
    let later = retold
        .state("Issue", "1")
        .at_sequence(1)
        .count_later()
        .await;
    assert!(
        matches!(later, Err(Error::Store(StoreError::Invalid { field, .. })) if field == "later")
    );
}

#[tokio::test]
async fn a_state_by_persisted_at_is_final_once_a_later_one_is_visible() {
    let clock = ClockByHand::new();
    let builder = Retold::builder().clock(clock.clone());
    let retold = builder.open("memory:").await.unwrap();
    clock.set(10);
    retold.append(comment("1")).await.unwrap();
    let at = |second| retold.state("Issue", "1").at_persisted(seconds(second));
    assert_eq!(at(10).await.unwrap().is_final, Some(false));
    assert_eq!(at(9).await.unwrap().is_final, Some(true));
    assert!(!at(9).await.unwrap().exists);
    clock.set(11);
    retold.append(comment("another")).await.unwrap();
    assert_eq!(at(10).await.unwrap().is_final, Some(true));
    let json = serde_json::to_value(at(10).await.unwrap()).unwrap();
    assert_eq!(json["final"], true);
}

#[tokio::test]
async fn a_type_without_a_machine_has_its_last_event_for_a_status() {
    let retold = Arc::new(Retold::open("memory:").await.unwrap());
    let stream = StreamId::new("Order", "1").unwrap();
    for event_type in ["order.placed", "order.paid"] {
        let event = NewEvent::new(stream.clone(), event_type, &1).unwrap();
        retold.append(event.actor("user-1")).await.unwrap();
    }
    let state = retold
        .reconstruct("Order", "1")
        .with_transitions()
        .await
        .unwrap();
    assert_eq!(state.status.as_deref(), Some("order.paid"));
    assert_eq!(state.transition_count, 2);
    assert_eq!(state.available_transitions, Some(Vec::new()));
    let json = serde_json::to_value(&state).unwrap();
    assert_eq!(json["stateHistory"][0]["from"], serde_json::Value::Null);
    assert_eq!(json["stateHistory"][0]["event"], "order.placed");
    assert_eq!(json["stateHistory"][1]["actor"], "user-1");
    let unknown = retold.state("Order", "2").at_sequence(1).await;
    assert!(matches!(
        unknown,
        Err(Error::Store(StoreError::NotFound { .. }))
    ));
}
