//! That pages stay small and quick, and that paging leaves nothing out.

use axum::http::StatusCode;
use retold::{NewEvent, Retold, StreamId};
use retold_server::{App, Options};

use crate::{get, open, start};

/// Bytes that a page has at most: 25 events with small payloads, or 50 streams, and the rest.
const PAGE_BYTES_MAX: usize = 64 * 1024;

#[tokio::test]
async fn a_moment_past_an_end_is_the_end() {
    let (retold, service) = open().await;
    start(&retold, "42").await;
    let stream = StreamId::new("Issue", "42").unwrap();
    for nth in 0..39 {
        let event = NewEvent::new(stream.clone(), "issue.commented", &nth).unwrap();
        retold.append(event).await.unwrap();
    }
    for (asked, shown, oldest, newest) in [
        ("", 40, 16, 40),
        ("?at=", 40, 16, 40),
        ("?at=0", 1, 1, 25),
        ("?at=1", 1, 1, 25),
        ("?at=20", 20, 8, 32),
        ("?at=40", 40, 16, 40),
        ("?at=41", 40, 16, 40),
        ("?at=18446744073709551615", 40, 16, 40),
    ] {
        let page = get(&service, &format!("/streams/Issue/42{asked}"))
            .await
            .body;
        assert!(
            page.contains(&format!("Event <strong>{shown}</strong> of 40")),
            "{asked}"
        );
        let lines: Vec<&str> = page.split("class=\"seq\">").skip(1).collect();
        assert_eq!(lines.len(), 25);
        assert!(lines[0].starts_with(&format!("{newest}<")), "{asked}");
        assert!(lines[24].starts_with(&format!("{oldest}<")), "{asked}");
    }
}

#[tokio::test]
async fn the_list_is_paged_without_a_gap_and_filtered() {
    let (retold, service) = open().await;
    for nth in 0..120 {
        start(&retold, &format!("i{nth:03}")).await;
        let order = StreamId::new("Order", format!("o&{nth:03}")).unwrap();
        let event = NewEvent::new(order, "order.placed", &nth).unwrap();
        retold.append(event).await.unwrap();
    }
    for (first, expected) in [
        ("/", 240),
        ("/?type=Order&prefix=", 120),
        ("/?prefix=o%26", 120),
        ("/?type=Issue&prefix=i01", 10),
        ("/?type=Issue&prefix=o", 0),
    ] {
        let mut address = first.to_owned();
        let mut seen = 0;
        for _ in 0..9 {
            let page = get(&service, &address).await;
            assert_eq!(page.status, StatusCode::OK);
            seen += page.body.matches("class=\"id\"").count();
            let Some(next) = page.body.split("rel=\"next\" href=\"").nth(1) else {
                break;
            };
            address = next.split('"').next().unwrap().replace("&amp;", "&");
        }
        assert_eq!(seen, expected, "{first}");
    }
    let list = get(&service, "/").await.body;
    assert!(list.contains("href=\"/?type=Order\""));
}

#[tokio::test]
async fn pages_stay_bounded_however_much_there_is() {
    /// Events of each long stream, and streams of the long list.
    const MANY: usize = 100_000;
    /// Far over what is measured, for a machine that is busy with other tests.
    const PATIENCE_MS: u128 = 1_000;

    let folder = tempfile::tempdir().unwrap();
    let builder = Retold::builder().builtin_machines();
    let retold = builder.open(folder.path()).await.unwrap();
    let service = retold_server::router(App::new(retold.clone(), Options::default()));
    let stream = |nth: usize| match nth % 3 {
        0 => StreamId::new("Sensor", "one").unwrap(),
        1 => StreamId::new("Issue", "one").unwrap(),
        _ => StreamId::new("Order", format!("{nth:06}")).unwrap(),
    };
    let events = (0..3 * MANY).map(|nth| NewEvent::new(stream(nth), "noted", &nth).unwrap());
    let events: Vec<NewEvent> = events.collect();
    for chunk in events.chunks(retold::limits::EVENTS_PER_APPEND_MAX) {
        retold.append(chunk.to_vec()).await.unwrap();
    }
    for address in [
        "/",
        "/?prefix=0999",
        "/?type=Order&after=050001",
        "/streams/Sensor/one",
        "/streams/Sensor/one?at=50000",
        "/streams/Sensor/one?at=1",
        "/streams/Issue/one",
        "/streams/Issue/one?at=50001",
    ] {
        let started = std::time::Instant::now();
        let answer = get(&service, address).await;
        let took = started.elapsed().as_millis();
        println!("{address}: {took} ms, {} bytes", answer.body.len());
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.len() < PAGE_BYTES_MAX, "{address}");
        assert!(took < PATIENCE_MS, "{address} took {took} ms");
    }
    retold.close().await.unwrap();
}

#[tokio::test]
async fn a_long_payload_is_shown_in_part() {
    let (retold, service) = open().await;
    let stream = StreamId::new("Note", "1").unwrap();
    let text = "<".repeat(retold::limits::PAYLOAD_BYTES_MAX - 2);
    let event = NewEvent::new(stream, "noted", &text).unwrap();
    retold.append(event).await.unwrap();
    let page = get(&service, "/streams/Note/1").await.body;
    assert!(page.contains("Cut off after 32,768 bytes."));
    // Each `<` is four bytes as HTML.
    assert!(page.len() < 4 * 32 * 1024 + PAGE_BYTES_MAX);
}
