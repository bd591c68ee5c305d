//! Moving a log: export, restore, the same digests.

use axum::body::Body;
use retold::{Filter, LogQuery, RecordedEvent, Retold};

use crate::support::{Service, service};

const EXPORT: &str = "/v1/events?includeReserved=true";

async fn log(service: &Service) -> Vec<RecordedEvent> {
    let filter = Filter {
        include_reserved: true,
        ..Filter::default()
    };
    let query = LogQuery::after(0).filter(filter).limit(10_000);
    let entries = service.retold.log(query).await.unwrap().entries;
    entries
        .into_iter()
        .map(|e| e.into_event().unwrap())
        .collect()
}

async fn origin() -> Service {
    let service = service().await;
    let door = retold::Machine::from_toml("type = \"Door\"\ninitial = \"A\"\nstates = [\"A\"]");
    service.retold.machines().add(door.unwrap()).await.unwrap();
    let start = service.transition("1", None, "IN_PROGRESS", "start_work");
    start.await.expect(201);
    let event = r#"{"eventType":"t","payload":{"a":1.50,"a":"\u0041"},"tags":["x"],"metadata":{"k":1,"k":2}}"#;
    for _ in 0..1_100 {
        let posted = service.post("/v1/streams/Note/%2F/events", event);
        posted.await.expect_status(201);
    }
    service
}

async fn empty() -> Service {
    Service::over(Retold::open("memory:").await.unwrap())
}

#[tokio::test]
async fn a_restored_export_has_the_same_digests() {
    let origin = origin().await;
    let export = origin.get_as(EXPORT, "application/x-ndjson").await;
    let copy = empty().await;
    let restored = copy.post_lines("/v1/restore", export.body.clone()).await;
    let restored = restored.expect(200);
    assert_eq!(
        (&restored["events"], &restored["head"]),
        (&1_102.into(), &1_102.into())
    );
    let digests = |log: Vec<RecordedEvent>| log.iter().map(|e| e.digest()).collect::<Vec<_>>();
    assert_eq!(digests(log(&copy).await), digests(log(&origin).await));
    let again = copy.get_as(EXPORT, "application/x-ndjson").await;
    assert_eq!(again.body, export.body);
    copy.get("/v1/machines/Door").await.expect(200);
    copy.append("Note/1", "t").await;

    let second = copy.post_lines("/v1/restore", export.body).await;
    second.problem(409, "not_empty");
}

#[tokio::test]
async fn a_line_that_is_wrong_is_named_and_the_restore_can_be_sent_again() {
    let origin = origin().await;
    let export = origin.get_as(EXPORT, "application/x-ndjson").await;
    let copy = empty().await;
    let broken = export
        .text()
        .replacen("\"position\":1050,", "\"position\":1050,\"x\":1,", 1);
    let answer = copy.post_lines("/v1/restore", broken).await;
    answer.invalid("x");
    assert_eq!(answer.json()["line"], 1_050);
    // Until it is complete nothing else is written.
    copy.get("/readyz").await.problem(503, "busy");
    copy.post_lines("/v1/restore", export.body)
        .await
        .expect(200);
    copy.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn nothing_is_made_up_that_a_digest_covers() {
    let service = empty().await;
    let line = |metadata: &str| {
        format!(
            r#"{{"aggregateType":"A","aggregateId":"1","eventType":"t","payload":1,"tags":[],"metadata":{metadata},"sequenceNumber":1,"position":1,"persistedAt":"2024-01-01T00:00:00Z"}}"#
        )
    };
    let id = r#""eventId":"00000000-0000-0000-0000-000000000001""#;
    for (metadata, field) in [
        (format!("{{{id}}}"), "metadata.version"),
        ("{}".to_owned(), "metadata.eventId"),
        ("1".to_owned(), "metadata"),
    ] {
        let body = Body::from(line(&metadata));
        service.post_lines("/v1/restore", body).await.invalid(field);
    }
    let whole =
        format!(r#"{{{id},"version":"1","timestamp":"2024-01-01T00:00:00Z","correlationId":"c"}}"#);
    let headed = line(&whole).replace("\"position\":1", "\"position\":2");
    service
        .post_lines("/v1/restore", headed)
        .await
        .invalid("position");
    service
        .post_lines("/v1/restore", line(&whole))
        .await
        .expect(200);
}
