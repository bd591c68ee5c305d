//! Bulk appends.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Method;
use futures::StreamExt;
use http_body_util::BodyExt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use retold::StoreError;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{failing, request, service};

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

fn line(id: &str, event_id: Option<u128>, expected: Value) -> String {
    let mut event = json!({
        "aggregateType": "Note", "aggregateId": id, "eventType": "t", "payload": 1,
    });
    if let Some(event_id) = event_id {
        event["metadata"] = json!({"eventId": uuid::Uuid::from_u128(event_id)});
    }
    if !expected.is_null() {
        event["expected"] = expected;
    }
    event.to_string()
}

fn mixed() -> String {
    let lines = [
        line("1", Some(1), json!("no_stream")),
        String::new(),
        line("2", None, json!(null)),
        line("1", Some(1), json!(null)),
        "{\"x\":1}".to_owned(),
        line("1", Some(2), json!(1)),
        line("1", None, json!(1)),
        line("3", Some(2), json!(null)),
        line("1", None, json!(2)).replace("\"t\"", "\"\""),
    ];
    lines.join("\n")
}

#[tokio::test]
async fn each_line_has_its_result_in_order() {
    let service = service().await;
    let answer = service.post_lines("/v1/events", mixed()).await;
    answer.expect_status(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let results = answer.lines();
    let codes: Vec<&str> = results
        .iter()
        .map(|result| match (&result["isNew"], result["code"].as_str()) {
            (_, Some(code)) => code,
            (is_new, None) if *is_new == true => "new",
            _ => "known",
        })
        .collect();
    let wanted = [
        "new",
        "new",
        "known",
        "invalid",
        "new",
        "conflict",
        "identity_conflict",
        "invalid",
    ];
    assert_eq!(codes, wanted);
    assert_eq!(results[4]["event"]["sequenceNumber"], 2);
    assert_eq!(results[3]["field"], "aggregateType");
}

#[tokio::test]
async fn who_prefers_little_is_answered_without_the_events() {
    let prefer = [
        ("content-type", "application/x-ndjson"),
        ("prefer", "return=minimal"),
    ];
    let (whole, little) = (service().await, service().await);
    let whole = whole.post_lines("/v1/events", mixed()).await;
    let asked = request(Method::POST, "/v1/events", &prefer, mixed().into());
    let little = little.send(asked).await;
    little.expect_status(200);
    assert_eq!(little.header("preference-applied"), Some("return=minimal"));
    let (whole, little) = (whole.lines(), little.lines());
    assert_eq!(whole.len(), little.len());
    for (whole, little) in whole.iter().zip(&little) {
        match &whole["event"] {
            Value::Null => assert_eq!(little["code"], whole["code"]),
            event => assert_eq!(
                *little,
                json!({"isNew": whole["isNew"], "position": event["position"]})
            ),
        }
    }
}

#[tokio::test]
async fn a_summary_counts_and_names_the_refused_lines() {
    let service = service().await;
    let answer = service
        .post_lines("/v1/events?results=summary", mixed())
        .await;
    let summary = answer.expect(200);
    assert_eq!(
        (&summary["new"], &summary["duplicate"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(summary["refused"], 4);
    let refused = summary["refusedLines"].as_array().unwrap();
    let lines: Vec<_> = refused
        .iter()
        .map(|line| line["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [5, 7, 8, 9]);
    assert_eq!(
        (&refused[1]["status"], &refused[1]["code"]),
        (&json!(412), &json!("conflict"))
    );
    let answer = service.post_lines("/v1/events?results=all", "").await;
    answer.invalid("results");
}

#[tokio::test]
async fn many_lines_keep_the_order_of_each_stream() {
    let service = service().await;
    let lines: Vec<String> = (0..2_000)
        .map(|nth: u64| line(&(nth % 7).to_string(), None, json!(nth / 7)))
        .collect();
    let answer = service
        .post_lines("/v1/events?results=summary", lines.join("\r\n"))
        .await;
    assert_eq!(answer.expect(200)["new"], 2_000);
}

/// What is handed to the log together must not be seen: refused lines, repeated ones and all.
#[test]
fn lines_at_once_come_to_the_same_as_lines_one_by_one() {
    let expected = prop_oneof![
        4 => Just(json!(null)),
        1 => Just(json!("stream_exists")),
        1 => Just(json!("no_stream")),
        4 => (0..12_u64).prop_map(|sequence| json!(sequence)),
    ];
    let line =
        (0..3_u32, 0..24_u128, expected, 0..12_u32).prop_map(|(stream, id, expected, kind)| {
            let line = line(&stream.to_string(), Some(id), expected);
            match kind {
                0 => line.replace("\"t\"", "\"\""),
                1 => line.replace("\"payload\":1", "\"payload\":2"),
                _ => line,
            }
        });
    let bodies = prop::collection::vec(line, 1..40);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(100)
    });
    let outcome = runner.run(&bodies, |lines| {
        let (at_once, one_by_one) = runtime.block_on(async {
            let (at_once, one_by_one) = (service().await, service().await);
            let at_once = at_once.post_lines("/v1/events", lines.join("\n")).await;
            let mut results = Vec::new();
            for line in &lines {
                let answer = one_by_one.post_lines("/v1/events", line.clone()).await;
                results.extend(answer.lines());
            }
            (at_once.lines(), results)
        });
        prop_assert_eq!(comparable(at_once), comparable(one_by_one));
        Ok(())
    });
    outcome.unwrap();
}

/// Results without what depends on the clock, and on how streams take turns.
fn comparable(results: Vec<Value>) -> Vec<Value> {
    let comparable = results.into_iter().map(|mut result| {
        if let Some(event) = result.get_mut("event") {
            for name in ["position", "persistedAt"] {
                event.as_object_mut().unwrap().remove(name);
            }
            for name in ["timestamp", "correlationId"] {
                event["metadata"].as_object_mut().unwrap().remove(name);
            }
        }
        result
    });
    comparable.collect()
}

#[tokio::test]
async fn results_come_while_the_body_is_still_being_sent() {
    let service = service().await;
    let (sender, pieces) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let pieces = futures::stream::unfold(pieces, |mut pieces| async move {
        pieces.recv().await.map(|piece| (piece, pieces))
    });
    let headers = [("content-type", "application/x-ndjson")];
    let request = request(
        Method::POST,
        "/v1/events",
        &headers,
        Body::from_stream(pieces),
    );
    let response = service.router.clone().oneshot(request).await.unwrap();
    let mut results = response.into_body().into_data_stream();
    for nth in 1..=3_u64 {
        let text = line("1", None, json!(null)) + "\n";
        let (head, tail) = text.split_at(20);
        for part in [head, tail] {
            sender.send(Ok(Bytes::from(part.to_owned()))).await.unwrap();
        }
        let result = tokio::time::timeout(DEADLINE, results.next())
            .await
            .unwrap();
        let result: Value = serde_json::from_slice(&result.unwrap().unwrap()).unwrap();
        assert_eq!(result["event"]["sequenceNumber"], nth);
    }
    // A body that breaks off breaks the answer off too: it did not end well.
    sender
        .send(Err(std::io::Error::other("gone")))
        .await
        .unwrap();
    let end = tokio::time::timeout(DEADLINE, results.next())
        .await
        .unwrap();
    assert!(end.unwrap().is_err());
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_the_next_goes_on() {
    let service = service().await;
    let long =
        line("1", None, json!(null)).replace("\"t\"", &format!("\"{}\"", "x".repeat(5 << 20)));
    let body = format!("{long}\n{}\n", line("1", None, json!(null)));
    let results = service.post_lines("/v1/events", body).await.lines();
    assert_eq!(
        (&results[0]["code"], &results[0]["field"]),
        (&json!("too_large"), &json!("body"))
    );
    assert_eq!(results[1]["event"]["sequenceNumber"], 1);
}

#[tokio::test]
async fn a_busy_log_slows_the_lines_down_and_refuses_none() {
    let (service, store) = failing().await;
    store.fail_with(Some(StoreError::Busy {
        reason: "the queue is full".into(),
        event_ids: Vec::new(),
    }));
    let clears = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        store.fail_with(None);
    };
    let body = [line("1", None, json!(0)), line("1", None, json!(1))].join("\n");
    let (answer, ()) = tokio::join!(service.post_lines("/v1/events", body), clears);
    let results = answer.lines();
    assert_eq!(results.len(), 2);
    assert!(
        results.iter().all(|result| result["isNew"] == true),
        "{results:?}"
    );
}

#[tokio::test]
async fn lines_whose_outcome_is_unknown_are_not_asked_for_again() {
    let (service, store) = failing().await;
    let unknown = StoreError::UnknownOutcome {
        reason: "the disk failed".into(),
        event_ids: Vec::new(),
    };
    // As an engine answers: what comes after a write that failed was not written.
    let poisoned = StoreError::Poisoned {
        cause: "the disk failed".into(),
        event_ids: Vec::new(),
    };
    store.fail_with(Some(poisoned));
    store.fail_once_with(unknown);
    let lines: Vec<String> = (1..=4).map(|id| line("1", Some(id), json!(null))).collect();
    let answer = service.post_lines("/v1/events", lines.join("\n")).await;
    let results = answer.lines();
    assert_eq!(results.len(), 4);
    for (result, id) in results.iter().zip(1..=4) {
        assert_eq!(result["code"], "unknown_outcome");
        assert_eq!(result["eventIds"], json!([uuid::Uuid::from_u128(id)]));
    }
}

/// Results are not gathered for a client that does not read them: it is broken off, and what
/// was done is done.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_broken_off() {
    let service = service().await;
    let lines: Vec<String> = (0..20_000).map(|_| line("1", None, json!(null))).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let body = Body::from(lines.join("\n"));
    let request = request(Method::POST, "/v1/events", &headers, body);
    let response = service.router.clone().oneshot(request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    let head = service.retold.store().head().await.unwrap().position;
    assert!((1..20_000).contains(&head), "{head} lines were done");
    assert!(response.into_body().collect().await.is_err());
}
