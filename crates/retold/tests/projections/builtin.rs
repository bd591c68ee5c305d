//! The projections that come with the crate.

use retold::projection::{CurrentState, ProcessMap, StateHistory};
use retold::{Json, Machine, NewEvent, Retold, RowQuery, StreamId, Transition};

use crate::support::{caught_up, rows};

const ORDER: &str = r#"
type = "Order"
initial = "OPEN"
states = ["OPEN", "PAID"]
final = ["PAID"]
[[transition]]
name = "pay"
from = ["OPEN"]
to = "PAID"
"#;

fn plain(aggregate_type: &str, id: &str, event_type: &str, minute: u32) -> NewEvent {
    let stream = StreamId::new(aggregate_type.to_owned(), id.to_owned()).unwrap();
    let at = format!("2024-01-31T23:{minute:02}:00Z").parse().unwrap();
    NewEvent::from_json(stream, event_type.to_owned(), Json::null()).timestamp(at)
}

#[tokio::test]
async fn the_current_state_is_what_a_state_says() {
    let retold = Retold::builder().builtin_machines().builtin_projections();
    let retold = retold.open("memory:").await.unwrap();
    let start = Transition::new("Issue", "1")
        .to("IN_PROGRESS")
        .event("start_work");
    retold.transition(start.actor("ada")).await.unwrap();
    let block = Transition::new("Issue", "1")
        .from("IN_PROGRESS")
        .to("BLOCKED")
        .event("block");
    retold.transition(block).await.unwrap();
    for event in [
        plain("Issue", "1", "issue.commented", 1),
        plain("Issue", "2", "issue.commented", 2),
        plain("Order", "a", "ordered", 3),
        plain("Order", "a", "sent", 4),
        plain("Order", "b", "ordered", 5),
        plain("Visit", "v", "began", 6),
    ] {
        retold.append(event).await.unwrap();
    }
    let counted = [["Issue", "BLOCKED", "1"], ["Issue", "TODO", "1"]];
    let of_orders = [["Order", "ordered", "1"], ["Order", "sent", "1"]];
    let of_visits = [["Visit", "began", "1"]];
    caught_up(&retold, "current_state").await;
    let counts = rows(&retold, "current_state", "status_counts").await;
    assert_eq!(counts, [&counted[..], &of_orders, &of_visits].concat());
    agrees(&retold).await;

    // A type that is given a machine later.
    retold
        .machines()
        .add(Machine::from_toml(ORDER).unwrap())
        .await
        .unwrap();
    let pay = Transition::new("Order", "b")
        .from("OPEN")
        .to("PAID")
        .event("pay");
    retold.transition(pay).await.unwrap();
    caught_up(&retold, "current_state").await;
    let of_orders = [["Order", "OPEN", "1"], ["Order", "PAID", "1"]];
    let counts = rows(&retold, "current_state", "status_counts").await;
    assert_eq!(counts, [&counted[..], &of_orders, &of_visits].concat());
    agrees(&retold).await;
    retold.close().await.unwrap();
}

/// Each row says what the state of the stream says.
async fn agrees(retold: &Retold) {
    let handle = retold.projection("current_state");
    let query = RowQuery::default().order("last_event_at").descending();
    let page = handle.rows("streams", query).await.unwrap();
    assert!(page.rows.len() > 4);
    for row in page.rows {
        let (of, id) = (
            row.text("aggregate_type").unwrap(),
            row.text("aggregate_id").unwrap(),
        );
        let state = retold.state(of.clone(), id.clone()).await.unwrap();
        assert_eq!(
            Some(&**row.text("status").unwrap()),
            state.status.as_deref(),
            "{row:?}"
        );
        let transitions = row.integer("transition_count").unwrap();
        assert_eq!(
            transitions.cast_unsigned(),
            state.transition_count,
            "{row:?}"
        );
        let last = row.value("last_transition_at").unwrap();
        let last = last.as_text().map(|text| text.parse().unwrap());
        assert_eq!(last, state.last_transition_at, "{row:?}");
        assert_eq!(
            row.integer("sequence_number").unwrap().cast_unsigned(),
            state.sequence_number
        );
    }
}

#[tokio::test]
async fn each_transition_is_a_row_of_its_types_table() {
    let retold = Retold::builder()
        .builtin_machines()
        .projection(StateHistory);
    let order = |of: &str| Machine::from_toml(&ORDER.replace("Order", of)).unwrap();
    let retold = retold
        .machine(order("PurchaseOrder"))
        .machine(order("Purchase-Order"));
    let retold = retold.open("memory:").await.unwrap();
    let start = Transition::new("Issue", "42")
        .from("TODO")
        .to("IN_PROGRESS")
        .event("start_work")
        .context(&Json::parse(r#"{"board":7,"big":1e400}"#).unwrap())
        .reason("let us begin")
        .actor("ada")
        .correlation_id("story")
        .causation_id("a click");
    let started = retold.transition(start).await.unwrap().event;
    retold
        .append(plain("Issue", "42", "issue.commented", 1))
        .await
        .unwrap();
    for of in ["PurchaseOrder", "Purchase-Order"] {
        let pay = Transition::new(of, "1")
            .from("OPEN")
            .to("PAID")
            .event("pay");
        retold.transition(pay).await.unwrap();
    }
    caught_up(&retold, "state_history").await;
    let history = rows(&retold, "state_history", "issue_state_history").await;
    let id = started.metadata.event_id.to_string();
    assert_eq!(history.len(), 1);
    assert_eq!(
        history[0][..8],
        [
            &*id,
            "42",
            "TODO",
            "IN_PROGRESS",
            "start_work",
            r#"{"board":7,"big":1e400}"#,
            "ada",
            "let us begin",
        ]
    );
    assert!(
        history[0][8].starts_with(r#"{"$machine":"#),
        "{}",
        history[0][8]
    );
    assert_eq!(history[0][10..15], [&*id, "1.0.0", "story", "a click", "1"]);
    // Two tables are there from the beginning; two types of one name in snake case have a
    // table each.
    assert!(
        rows(&retold, "state_history", "execution_state_history")
            .await
            .is_empty()
    );
    let types = rows(&retold, "state_history", "machine_types").await;
    assert_eq!(
        types,
        vec![
            vec!["Issue", "issue_state_history"],
            vec!["Purchase-Order", "purchase_order_state_history_2"],
            vec!["PurchaseOrder", "purchase_order_state_history"],
        ]
    );
    let second = rows(&retold, "state_history", "purchase_order_state_history_2").await;
    assert_eq!(second.len(), 1);
    retold.close().await.unwrap();
}

#[tokio::test]
async fn the_process_map_counts_what_follows_what_and_how_long_it_takes() {
    let retold = Retold::builder()
        .projection(ProcessMap)
        .projection(CurrentState::new(&[]));
    let retold = retold.open("memory:").await.unwrap();
    for event in [
        plain("Order", "a", "ordered", 0),
        plain("Order", "b", "ordered", 10),
        plain("Order", "a", "sent", 30),
        plain("Order", "b", "sent", 20),
        // Dated earlier than what came before it.
        plain("Order", "b", "sent", 15),
    ] {
        retold.append(event).await.unwrap();
    }
    let late = plain("Order", "a", "back", 0).timestamp("2024-02-01T00:30:00Z".parse().unwrap());
    retold.append(late).await.unwrap();
    caught_up(&retold, "process_map").await;
    let edges = rows(&retold, "process_map", "edges").await;
    let row = |month, from, to, count, seconds| vec!["Order", month, from, to, count, seconds];
    assert_eq!(
        edges,
        vec![
            row("", "", "ordered", "2", "0"),
            row("", "ordered", "sent", "2", "2400"),
            row("", "sent", "back", "1", "3600"),
            row("", "sent", "sent", "1", "0"),
            row("2024-01", "", "ordered", "2", "0"),
            row("2024-01", "ordered", "sent", "2", "2400"),
            row("2024-01", "sent", "sent", "1", "0"),
            row("2024-02", "sent", "back", "1", "3600"),
        ]
    );
    retold.close().await.unwrap();
}

#[tokio::test]
async fn a_process_of_made_up_names_is_refused_and_not_held_in_memory() {
    let retold = Retold::builder().projection(ProcessMap);
    let retold = retold.open("memory:").await.unwrap();
    let mut position = 0;
    for batch in 0..11 {
        let events = (0..1_000).map(|nth| plain("Order", "a", &format!("e{batch}-{nth}"), 0));
        let appended = retold.append(events.collect::<Vec<_>>()).await.unwrap();
        position = appended.events.last().unwrap().position;
    }
    retold
        .projection("process_map")
        .wait_through(position)
        .await
        .unwrap();
    let refused = retold.process_graph("Order", None).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("more than 10000 different edges"),
        "{refused}"
    );
    retold.close().await.unwrap();
}
