//! That every text of an event stays text, and that links lead where they say.

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use retold::{NewEvent, StreamId, Transition};
use serde_json::json;

use crate::{HOSTILE, encoded, escaped, get, open, start};

#[tokio::test]
async fn every_text_of_an_event_stays_text() {
    let (retold, service) = open().await;
    for text in HOSTILE {
        let stream = StreamId::new("Issue", text).unwrap();
        let start = Transition::new("Issue", text)
            .to("IN_PROGRESS")
            .event("start_work");
        let start = start.actor(text).reason(text).tag(text).extra(text, text);
        let start = start.correlation_id(text).causation_id(text);
        retold
            .transition(start.context(&json!({ text: text })))
            .await
            .unwrap();
        let event = NewEvent::new(stream, text, &json!(text)).unwrap();
        retold.append(event.version(text)).await.unwrap();

        let address = format!("/streams/Issue/{}", encoded(text));
        for page in [address.clone(), format!("{address}?at=1"), "/".into()] {
            let answer = get(&service, &page).await;
            assert_eq!(answer.status, StatusCode::OK, "{page}");
            assert!(
                answer.body.contains(&escaped(text)),
                "{text:?} is missing on {page}"
            );
            for broken in ["<script>", "<img", "onerror=alert(1)>", "{{7*7}}\""] {
                assert!(
                    !answer.body.contains(broken),
                    "{broken} broke out on {page}"
                );
            }
            assert!(!answer.body.contains("href=\"javascript"), "{page}");
        }
        let story = get(&service, &format!("/correlations/{}", encoded(text))).await;
        assert_eq!(story.status, StatusCode::OK);
        assert!(
            story
                .body
                .contains(&format!("><bdi>{}</bdi></h1>", escaped(text)))
        );
    }
}

#[tokio::test]
async fn each_link_of_the_list_leads_to_its_stream() {
    let (retold, service) = open().await;
    let longest = ["i".repeat(512), "\u{1F980}".repeat(128), "%".repeat(512)];
    let ids = HOSTILE.iter().map(ToString::to_string).chain(longest);
    let ids: Vec<String> = ids.collect();
    for id in &ids {
        start(&retold, id).await;
    }
    let list = get(&service, "/").await.body;
    let links: Vec<&str> = list
        .split("class=\"id\" href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(links.len(), ids.len());
    let mut found = Vec::new();
    for link in links {
        let page = get(&service, link).await;
        assert_eq!(page.status, StatusCode::OK, "{link}");
        let shown = ids.iter().find(|id| {
            page.body
                .contains(&format!("><bdi>{}</bdi></h1>", escaped(id)))
        });
        found.push(shown.expect("a page shows its id"));
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), ids.len());
}

#[tokio::test]
async fn an_event_leads_to_its_moment_and_to_its_cause() {
    let (retold, service) = open().await;
    start(&retold, "a/b").await;
    let page = retold.events("Issue", "a/b").await.unwrap();
    let cause = page.into_events().unwrap()[0].metadata.event_id;
    let answer = get(&service, &format!("/events/{cause}")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers[LOCATION], "/streams/Issue/a%2Fb?at=1");

    let execute = Transition::new("Execution", "1")
        .to("RUNNING")
        .event("execute");
    retold
        .transition(execute.causation_id(cause.to_string()))
        .await
        .unwrap();
    let page = get(&service, "/streams/Execution/1").await.body;
    assert!(page.contains("<a href=\"/streams/Issue/a%2Fb?at=1\"><bdi>start_work</bdi>, event 1"));
}
