//! Reading streams and the log: pages, filters, lines.

use serde_json::{Value, json};

use crate::support::{Service, service};

const EVENTS: &str = "/v1/streams/Note/1/events";

/// Follows `next` to the end and returns the sequence numbers of each page.
async fn pages(service: &Service, first: &str) -> Vec<Vec<u64>> {
    let mut pages = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = service.get(&path).await.expect(200);
        let events = page["events"].as_array().unwrap().iter();
        pages.push(
            events
                .map(|e| e["sequenceNumber"].as_u64().unwrap())
                .collect(),
        );
        next = page["next"].as_str().map(str::to_owned);
    }
    pages
}

async fn with_notes(count: u64) -> Service {
    let service = service().await;
    for nth in 1..=count {
        let body = json!({
            "eventType": if nth % 2 == 0 { "note.even" } else { "note.odd" },
            "payload": nth,
            "metadata": {"timestamp": format!("2024-01-{nth:02}T00:00:00Z")},
        });
        service.post(EVENTS, body).await.expect(201);
    }
    service
}

#[tokio::test]
async fn pages_of_a_stream_go_both_ways_and_keep_their_filters() {
    let service = with_notes(7).await;
    let all = pages(&service, &format!("{EVENTS}?limit=3")).await;
    assert_eq!(all, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    let back = pages(&service, &format!("{EVENTS}?limit=3&direction=backward")).await;
    assert_eq!(back, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
    let odd = pages(
        &service,
        &format!("{EVENTS}?limit=2&eventType=note.odd&toSequence=6"),
    )
    .await;
    assert_eq!(odd.concat(), [1, 3, 5]);
    let dated = "fromTimestamp=2024-01-03&toTimestamp=2024-01-05T00:00:00%2B00:00";
    assert_eq!(
        pages(&service, &format!("{EVENTS}?{dated}")).await,
        [vec![3, 4, 5]]
    );
    let range = format!("{EVENTS}?fromSequence=2&toSequence=3&direction=backward");
    assert_eq!(pages(&service, &range).await, [vec![3, 2]]);
    let answer = service.get(&format!("{EVENTS}?fromSequence=8")).await;
    let past = answer.expect(200);
    assert_eq!((&past["events"], &past["next"]), (&json!([]), &Value::Null));
    assert_eq!(answer.header("retold-stream-sequence"), Some("7"));
    // Polling goes on behind what was complete.
    let after = past["completeThrough"].as_u64().unwrap();
    assert_eq!(after, 7);
    service.append("Note/1", "t").await;
    let polled = pages(&service, &format!("{EVENTS}?after={after}")).await;
    assert_eq!(polled, [vec![8]]);
}

#[tokio::test]
async fn the_log_is_read_in_pages_with_filters() {
    let service = with_notes(3).await;
    let body = json!({
        "eventType": "t", "payload": null, "tags": ["red"],
        "metadata": {"correlationId": "c", "causationId": "x", "actor": "me"},
    });
    service
        .post("/v1/streams/Other/2/events", body)
        .await
        .expect(201);
    let page = service.get("/v1/events?limit=2").await.expect(200);
    assert_eq!(page["completeThrough"], 2);
    assert_eq!(page["next"], "/v1/events?limit=2&after=2");
    let page = service
        .get(page["next"].as_str().unwrap())
        .await
        .expect(200);
    assert_eq!(page["events"][1]["position"], 4);
    for filter in [
        "aggregateType=Other",
        "eventType=t",
        "tag=red",
        "correlationId=c",
        "causationId=x",
        "actor=me",
        "fromTimestamp=2024-02-01",
    ] {
        let page = service
            .get(&format!("/v1/events?{filter}"))
            .await
            .expect(200);
        assert_eq!(page["events"].as_array().unwrap().len(), 1, "{filter}");
        assert_eq!(page["events"][0]["position"], 4, "{filter}");
    }
    let page = service.get("/v1/events?after=head").await.expect(200);
    assert_eq!(
        (&page["events"], &page["completeThrough"]),
        (&json!([]), &json!(4))
    );
}

#[tokio::test]
async fn reserved_streams_are_left_out_unless_asked_for() {
    let service = service().await;
    let machine = retold::Machine::from_toml("type = \"Door\"\ninitial = \"A\"\nstates = [\"A\"]");
    service
        .retold
        .machines()
        .add(machine.unwrap())
        .await
        .unwrap();
    let count = async |path: &str, key: &str| {
        let page = service.get(path).await.expect(200);
        page[key].as_array().unwrap().len()
    };
    assert_eq!(count("/v1/events", "events").await, 0);
    assert_eq!(count("/v1/events?includeReserved=true", "events").await, 1);
    assert_eq!(count("/v1/streams", "streams").await, 0);
    assert_eq!(
        count("/v1/streams?includeReserved=true", "streams").await,
        1
    );
    assert_eq!(
        count("/v1/streams?aggregateType=$machine", "streams").await,
        1
    );
    assert_eq!(count("/v1/streams/$machine/Door/events", "events").await, 1);
    assert_eq!(service.get("/v1/info").await.expect(200)["head"], 1);
}

#[tokio::test]
async fn lines_have_no_limit_unless_one_is_given() {
    let service = service().await;
    let event = |nth: usize| json!({"eventType": "t", "payload": nth});
    for _ in 0..2 {
        let events: Vec<_> = (0..700).map(event).collect();
        service
            .post(EVENTS, json!({"events": events}))
            .await
            .expect(201);
    }
    let ndjson = "application/x-ndjson";
    let answer = service.get_as("/v1/events", ndjson).await;
    assert_eq!(answer.header("content-type"), Some(ndjson));
    let lines = answer.lines();
    assert_eq!(lines.len(), 1_400);
    assert_eq!(lines[1_399]["position"], 1_400);
    let answer = service.get_as(EVENTS, ndjson).await;
    assert_eq!(answer.header("retold-stream-sequence"), Some("1400"));
    assert_eq!(answer.lines().len(), 1_400);
    let limited = service
        .get_as("/v1/events?limit=1200&after=10", ndjson)
        .await;
    assert_eq!(limited.lines().len(), 1_200);
    assert_eq!(limited.lines()[0]["position"], 11);
    let back = format!("{EVENTS}?direction=backward&limit=2");
    let back = service.get_as(&back, ndjson).await.lines();
    let back: Vec<_> = back.iter().map(|e| e["sequenceNumber"].clone()).collect();
    assert_eq!(back, [json!(1_400), json!(1_399)]);
    service
        .get_as("/v1/events?limit=0", ndjson)
        .await
        .invalid("limit");
    let unknown = service.get_as("/v1/streams/Note/9/events", ndjson).await;
    unknown.problem(404, "not_found");
}

#[tokio::test]
async fn streams_are_listed_by_type_and_prefix() {
    let service = service().await;
    for stream in ["Note/b", "Note/a", "Note/a1", "Other/a"] {
        service.append(stream, "t").await;
    }
    let list = async |query: &str| -> Vec<String> {
        let page = service
            .get(&format!("/v1/streams{query}"))
            .await
            .expect(200);
        let streams = page["streams"].as_array().unwrap().iter();
        let name = |s: &Value| format!("{}/{}", s["aggregateType"], s["aggregateId"]);
        streams.map(|s| name(s).replace('"', "")).collect()
    };
    assert_eq!(list("").await, ["Note/a", "Note/a1", "Note/b", "Other/a"]);
    assert_eq!(
        list("?aggregateType=Note&prefix=a").await,
        ["Note/a", "Note/a1"]
    );
    assert_eq!(list("?prefix=a&limit=1").await, ["Note/a"]);
    let page = service.get("/v1/streams?limit=1").await.expect(200);
    assert_eq!(page["streams"][0]["sequenceNumber"], 1);
}

#[tokio::test]
async fn the_service_says_what_it_is() {
    let service = service().await;
    let info = service.get("/v1/info").await.expect(200);
    assert_eq!(info["head"], 0);
    assert_eq!(info["logId"], service.retold.store().log_id().to_string());
    let capabilities = json!({
        "durable": false, "reads": "strong", "multiStream": true, "conditions": true,
    });
    assert_eq!(info["capabilities"], capabilities);
    assert_eq!(service.get("/livez").await.expect(200)["status"], "alive");
    assert_eq!(service.get("/readyz").await.expect(200)["status"], "ready");
}
