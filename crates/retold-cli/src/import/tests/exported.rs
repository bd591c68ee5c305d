//! An export is read back as the same events, down to their digests.

use retold::{LogQuery, RecordedEvent, Retold};

use super::{accepted, options, read, small};
use crate::import::{Export, Format, Options, open};

/// A log with everything in it that an event can have.
async fn log() -> Vec<RecordedEvent> {
    let retold = Retold::builder().builtin_machines();
    let retold = retold.open("memory:").await.unwrap();
    for imported in accepted(open(&small("small.xes"), options()).unwrap()) {
        retold.append(imported.event).await.unwrap();
    }
    let text = "{\"aggregateType\":\"T\",\"aggregateId\":\"\u{1F980}/%\",\"eventType\":\"a\",\
                \"payload\":{\"b\":1.50,\"a\":\"\\u00e9\\ud800\u{2028}\"},\"tags\":[\"x\",\"y\"],\
                \"metadata\":{\"version\":\"2\",\"causationId\":\"c\",\"traceparent\":\"00-1\",\
                \"timestamp\":\"1969-12-31T23:59:59.9999999Z\"}}";
    let line = accepted(read(Format::Ndjson, text, Options::default()).unwrap());
    retold.append(line[0].event.clone()).await.unwrap();
    let start = retold::Transition::new("Issue", "1")
        .to("IN_PROGRESS")
        .event("start_work");
    retold.transition(start).await.unwrap();
    let page = retold.log(LogQuery::after(0).limit(1_000)).await.unwrap();
    let events = page.entries.into_iter().map(|entry| entry.into_event());
    events.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn what_was_exported_is_read_back_with_equal_digests() {
    let events = log().await;
    assert_eq!(events.len(), 8);
    for packed in [false, true] {
        let mut export = match packed {
            true => Export::gzip(Vec::new()),
            false => Export::new(Vec::new()),
        };
        for event in &events {
            export.write(event).unwrap();
        }
        assert_eq!(export.events(), 8);
        let text = export.finish().unwrap();
        let back = accepted(read(Format::Ndjson, text, Options::default()).unwrap());
        let back: Vec<RecordedEvent> = back
            .into_iter()
            .map(|imported| imported.into_recorded().unwrap())
            .collect();
        assert_eq!(back, events);
        let digests = |events: &[RecordedEvent]| -> Vec<_> {
            events.iter().map(RecordedEvent::digest).collect()
        };
        assert_eq!(digests(&back), digests(&events));
    }
}

#[tokio::test]
async fn an_export_is_appended_elsewhere_once() {
    let mut export = Export::new(Vec::new());
    for event in log().await {
        // What a machine judged is restored or trusted, not appended plainly.
        if event.stream.aggregate_type() != "Issue" {
            export.write(&event).unwrap();
        }
    }
    let text = export.finish().unwrap();
    let other = Retold::open("memory:").await.unwrap();
    for is_new in [true, false] {
        for line in accepted(read(Format::Ndjson, text.clone(), Options::default()).unwrap()) {
            assert_eq!(other.append(line.event).await.unwrap().is_new, is_new);
        }
    }
}

#[test]
fn an_output_that_fails_is_an_error_at_the_latest_when_it_is_finished() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let events = runtime.block_on(log());
    for mut export in [Export::new(Full), Export::gzip(Full)] {
        let written = events.iter().try_for_each(|event| export.write(event));
        let finished = written.and_then(|()| export.finish().map(drop));
        assert_eq!(
            finished.unwrap_err().kind(),
            std::io::ErrorKind::StorageFull
        );
    }
}
