//! Projections over HTTP: rows, versions, the streams by status, process maps and traces.

use serde_json::{Value, json};

use crate::support::{Service, service};

/// Three issues, of which one is blocked.
async fn filled() -> Service {
    let service = service().await;
    for id in ["1", "2", "3"] {
        let start = service.transition(id, None, "IN_PROGRESS", "start_work");
        start.await.expect(201);
    }
    let block = service.transition("2", Some("IN_PROGRESS"), "BLOCKED", "block");
    block.await.expect(201);
    service.append("Note/n", "noted").await;
    service
}

const WAIT: &str = "minPosition=5&waitMs=30000";

fn ids(page: &Value) -> Vec<&str> {
    let streams = page["streams"].as_array().unwrap().iter();
    streams
        .map(|stream| stream["aggregateId"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn streams_are_listed_by_status_and_counted() {
    let service = filled().await;
    let blocked = service
        .get(&format!("/v1/streams?status=BLOCKED&{WAIT}"))
        .await
        .expect(200);
    assert_eq!(ids(&blocked), ["2"]);
    let stream = &blocked["streams"][0];
    assert_eq!(
        (&stream["status"], &stream["transitionCount"]),
        (&json!("BLOCKED"), &json!(2))
    );
    assert_eq!(
        (&stream["sequenceNumber"], &blocked["completeThrough"]),
        (&json!(2), &json!(5))
    );
    let counted = service
        .get("/v1/streams?aggregateType=Issue&counts=true&limit=1")
        .await;
    let counted = counted.expect(200);
    assert_eq!(
        counted["counts"],
        json!([
            {"aggregateType": "Issue", "status": "BLOCKED", "streams": 1},
            {"aggregateType": "Issue", "status": "IN_PROGRESS", "streams": 2},
        ])
    );
    // Pages go on, in either order.
    for (sort, expected) in [
        ("sort=lastEventAt", ["n", "2", "3", "1"]),
        ("sort=lastEventAt&direction=forward", ["1", "3", "2", "n"]),
        ("sort=aggregateId", ["1", "2", "3", "n"]),
    ] {
        let mut next = Some(format!("/v1/streams?{sort}&limit=1"));
        let mut seen = Vec::new();
        while let Some(path) = next {
            let page = service.get(&path).await.expect(200);
            seen.extend(ids(&page).iter().map(ToString::to_string));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(seen, expected, "{sort}");
    }
    for (query, field) in [
        ("status=", "status"),
        ("sort=colour", "sort"),
        ("status=A&direction=up", "direction"),
        ("status=A&prefix=1", "prefix"),
        ("status=A&after=1", "after"),
        ("counts=yes", "counts"),
    ] {
        service
            .get(&format!("/v1/streams?{query}"))
            .await
            .invalid(field);
    }
    let late = service
        .get("/v1/streams?status=A&minPosition=99&waitMs=1")
        .await;
    assert_eq!(late.problem(503, "not_yet")["position"], 5);
}

#[tokio::test]
async fn rows_are_read_by_key_by_filter_and_in_pages() {
    let service = filled().await;
    let table = "/v1/projections/current_state/tables/streams";
    let key = "key=%5B%22Issue%22%2C%222%22%5D";
    let one = service
        .get(&format!("{table}?{key}&{WAIT}"))
        .await
        .expect(200);
    assert_eq!(one["rows"][0]["last_event_type"], "block");
    let none = service
        .get(&format!("{table}?key=%5B%22Issue%22%2C%229%22%5D"))
        .await;
    assert_eq!(none.expect(200)["rows"], json!([]));
    let filter = "filter=%7B%22status%22%3A%22IN_PROGRESS%22%7D&sort=-position";
    let rows = service.get(&format!("{table}?{filter}")).await.expect(200);
    let positions: Vec<_> = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["position"])
        .collect();
    assert_eq!(positions, [3, 1]);
    let page = service.get(&format!("{table}?limit=3")).await.expect(200);
    let page = service
        .get(page["next"].as_str().unwrap())
        .await
        .expect(200);
    assert_eq!(
        (page["rows"].as_array().unwrap().len(), &page["next"]),
        (1, &Value::Null)
    );

    // JSON in a row is JSON.
    let history = "/v1/projections/state_history/tables/issue_state_history?limit=1";
    let history = service.get(&format!("{history}&{WAIT}")).await.expect(200);
    assert!(
        history["rows"][0]["metadata"]["$machine"].is_string(),
        "{history}"
    );

    for (query, field) in [
        ("key=1", "key"),
        ("key=%5B1%5D", "key"),
        ("filter=1", "filter"),
        ("filter=%7B%22colour%22%3A1%7D", "filter"),
        ("sort=colour", "sort"),
        ("after=x", "after"),
    ] {
        service
            .get(&format!("{table}?{query}"))
            .await
            .invalid(field);
    }
    service
        .get("/v1/projections/current_state/tables/rooms")
        .await
        .problem(404, "not_found");
    service
        .get("/v1/projections/nothing/tables/streams")
        .await
        .problem(404, "not_found");
}

async fn version(service: &Service, role: &str) -> Option<Value> {
    let path = "/v1/projections/current_state";
    let status = service.get(path).await.expect(200);
    let mut versions = status["versions"].as_array().unwrap().iter();
    versions.find(|version| version["role"] == role).cloned()
}

#[tokio::test]
async fn a_version_is_rebuilt_held_compared_promoted_and_brought_back() {
    let service = filled().await;
    let path = "/v1/projections/current_state";
    let status = service.get(&format!("{path}?{WAIT}")).await.expect(200);
    assert_eq!(status["versions"][0]["version"], "1");
    assert_eq!(status["tables"][0]["name"], "machines");
    let post = async |what: &str| service.post(&format!("{path}/{what}"), "").await;
    assert_eq!(
        post("rebuild?held=true").await.expect(200)["version"],
        "1.2"
    );
    post("rebuild").await.invalid("projection");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while version(&service, "building").await.unwrap()["hasCaughtUp"] != true {
        assert!(std::time::Instant::now() < deadline, "it does not catch up");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let compared = service
        .get(&format!("{path}/compare?with=building"))
        .await
        .expect(200);
    assert_eq!(compared["isEqual"], true);
    assert_eq!(compared["tables"][2]["equal"], 4, "{compared}");
    let reason = json!({"reason": "we look at it"});
    service
        .post(&format!("{path}/pause"), reason)
        .await
        .expect(200);
    let building = version(&service, "building").await.unwrap();
    assert_eq!(
        (&building["state"], &building["reason"]),
        (&json!("paused"), &json!("we look at it"))
    );
    assert_eq!(post("promote").await.expect(200)["version"], "1.2");
    assert_eq!(version(&service, "previous").await.unwrap()["version"], "1");
    assert_eq!(post("resume").await.expect(200)["version"], "1.2");
    assert_eq!(post("bring-back").await.expect(200)["version"], "1");
    assert_eq!(post("discard").await.expect(200)["version"], "1.2");
    for what in ["promote", "bring-back", "discard", "cancel"] {
        post(what).await.problem(404, "not_found");
    }
    service
        .get(&format!("{path}/compare"))
        .await
        .invalid("with");
}

#[tokio::test]
async fn the_process_is_shown_with_the_streams_that_took_each_way() {
    let service = filled().await;
    let map = service
        .get(&format!("/v1/processes/Issue?{WAIT}"))
        .await
        .expect(200);
    let edge = &map["edges"][1];
    assert_eq!(
        (&edge["from"], &edge["to"]),
        (&json!("start_work"), &json!("block"))
    );
    assert_eq!(map["events"][1]["ends"], 2, "{map}");
    let month = map["months"][0].as_str().unwrap();
    let month = service
        .get(&format!("/v1/processes/Issue?month={month}"))
        .await
        .expect(200);
    assert_eq!(month["edges"], map["edges"]);
    let streams = "/v1/processes/Issue/streams?from=start_work&to=block";
    let streams = service.get(streams).await.expect(200);
    assert_eq!(streams["streams"][0]["aggregateId"], "2");
    let types = service.get("/v1/processes").await.expect(200);
    assert_eq!(types["aggregateTypes"], json!(["Issue", "Note"]));
    service
        .get("/v1/processes/Visit")
        .await
        .problem(404, "not_found");
    service
        .get("/v1/processes/Issue?month=May")
        .await
        .invalid("month");
    service
        .get("/v1/processes/Issue/streams")
        .await
        .invalid("to");
}

#[tokio::test]
async fn a_trace_is_a_tree_across_streams() {
    let service = service().await;
    let event = |cause: Value| {
        let metadata = json!({"correlationId": "a/story", "causationId": cause});
        json!({"eventType": "t", "payload": 1, "metadata": metadata})
    };
    let mut cause = json!("a click");
    for stream in ["Order/1", "Payment/1", "Parcel/1"] {
        let path = format!("/v1/streams/{stream}/events");
        let appended = service.post(&path, event(cause)).await.expect(201);
        cause = appended["event"]["metadata"]["eventId"].clone();
    }
    let trace = service.get("/v1/traces/a%2Fstory").await.expect(200);
    assert_eq!(
        (&trace["isComplete"], &trace["correlationId"]),
        (&json!(true), &json!("a/story"))
    );
    let root = &trace["roots"][0];
    assert_eq!(root["event"]["aggregateType"], "Order");
    let parcel = &root["children"][0]["children"][0];
    assert_eq!(parcel["event"]["aggregateType"], "Parcel");
    assert_eq!(
        (&parcel["children"], &parcel["isContinued"]),
        (&json!([]), &Value::Null)
    );
    service
        .get("/v1/traces/unknown")
        .await
        .problem(404, "not_found");
}
