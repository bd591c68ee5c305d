//! The state, now and as it was.

use serde_json::json;

use crate::support::{Service, service};

const STATE: &str = "/v1/streams/Issue/1/state";

async fn with_history() -> Service {
    let service = service().await;
    for (from, to, event) in [
        (None, "IN_PROGRESS", "start_work"),
        (Some("IN_PROGRESS"), "BLOCKED", "block"),
        (Some("BLOCKED"), "IN_PROGRESS", "unblock"),
    ] {
        service.transition("1", from, to, event).await.expect(201);
    }
    service
}

#[tokio::test]
async fn the_current_state_has_an_entity_tag_and_an_earlier_one_has_not() {
    let service = with_history().await;
    let now = service.get(STATE).await;
    let state = now.expect(200);
    assert_eq!(
        (&state["status"], &state["transitionCount"]),
        (&json!("IN_PROGRESS"), &json!(3))
    );
    assert_eq!(state["issueId"], "1");
    assert_eq!(now.header("etag"), Some("\"3\""));
    assert!(state.get("stateHistory").is_none() && state.get("diff").is_none());
    let then = service.get(&format!("{STATE}?atSequence=2")).await;
    assert_eq!(then.expect(200)["status"], "BLOCKED");
    assert_eq!(then.header("etag"), None);
    assert_eq!(then.header("retold-stream-sequence"), Some("3"));
    let at_position = service.get(&format!("{STATE}?atPosition=1")).await;
    assert_eq!(at_position.expect(200)["position"], 1);
    let before = service
        .get(&format!("{STATE}?atSequence=0"))
        .await
        .expect(200);
    assert_eq!(
        (&before["exists"], &before["status"]),
        (&json!(false), &json!(null))
    );
    let past = service
        .get(&format!("{STATE}?atSequence=99"))
        .await
        .expect(200);
    assert_eq!(past["sequenceNumber"], 3);
    let known = service
        .get(&format!("{STATE}?atPersisted=2100-01-01"))
        .await
        .expect(200);
    assert_eq!(
        (&known["final"], &known["sequenceNumber"]),
        (&json!(false), &json!(3))
    );
    let dated = service
        .get(&format!("{STATE}?atTimestamp=2000-01-01&later=true"))
        .await;
    let dated = dated.expect(200);
    assert_eq!(
        (&dated["exists"], &dated["laterAtOrBefore"]),
        (&json!(false), &json!(0))
    );
}

#[tokio::test]
async fn history_transitions_and_differences_are_added_when_asked_for() {
    let service = with_history().await;
    let query = "atSequence=2&history=true&transitions=true&diff=true";
    let state = service.get(&format!("{STATE}?{query}")).await.expect(200);
    assert_eq!(state["stateHistory"].as_array().unwrap().len(), 2);
    assert_eq!(state["availableTransitions"][0]["event"], "unblock");
    let diff = state["diff"].as_array().unwrap();
    let status = json!({"path": "status", "before": "IN_PROGRESS", "after": "BLOCKED"});
    assert_eq!(diff[0], status);
    assert_eq!(
        diff[1],
        json!({"path": "transitionCount", "before": 1, "after": 2})
    );
    let first = service
        .get(&format!("{STATE}?atSequence=1&diff=true"))
        .await
        .expect(200);
    assert_eq!(first["diff"][0]["path"], "exists");
    let before = service
        .get(&format!("{STATE}?atSequence=0&diff=true"))
        .await
        .expect(200);
    assert_eq!(before["diff"], json!([]));
    let plain = service
        .get(&format!("{STATE}?diff=false"))
        .await
        .expect(200);
    assert!(plain.get("diff").is_none());
}

#[tokio::test]
async fn a_read_waits_for_what_was_written() {
    let service = with_history().await;
    service
        .get(&format!("{STATE}?minPosition=3"))
        .await
        .expect(200);
    let answer = service
        .get(&format!("{STATE}?minPosition=4&waitMs=10"))
        .await;
    let problem = answer.problem(503, "not_yet");
    assert_eq!(problem["position"], 3);
    assert!(answer.header("retry-after").is_some());
    let path = format!("{STATE}?minPosition=4&waitMs=20000");
    let (waited, _) = tokio::join!(service.get(&path), service.append("Note/1", "t"));
    waited.expect(200);
}
