//! Logs of real organisations, in the folder that `RETOLD_EVENT_LOGS` names. They are public but
//! not ours to copy; what is expected of them was read from the files with Python, which shares
//! no code with this.

use std::collections::HashSet;
use std::path::PathBuf;

use retold::{Retold, StreamsQuery};

use super::accepted;
use crate::import::{ImportEvent, Options, open};

/// The third event of a case: the case, event type, instant and actor.
type Third = [&'static str; 4];

fn logs() -> Option<PathBuf> {
    let folder = std::env::var_os("RETOLD_EVENT_LOGS");
    if folder.is_none() {
        println!("SKIPPED: RETOLD_EVENT_LOGS is not set");
    }
    folder.map(PathBuf::from)
}

fn events(file: PathBuf, aggregate_type: &str) -> Vec<ImportEvent> {
    let options = Options {
        aggregate_type: Some(aggregate_type.to_owned()),
        ..Options::default()
    };
    accepted(open(&file, options).unwrap())
}

/// Reads and appends the file twice; the second time adds nothing.
async fn check(file: &str, aggregate_type: &str, cases: usize, count: usize, thirds: &[Third]) {
    let Some(folder) = logs() else { return };
    let first = events(folder.join(file), aggregate_type);
    assert_eq!(first.len(), count);
    let ids: HashSet<_> = first.iter().map(|e| e.event.metadata.event_id).collect();
    assert_eq!(ids.len(), count);
    let streams: HashSet<_> = first.iter().map(|e| &e.event.stream).collect();
    assert_eq!(streams.len(), cases);
    let correlations: HashSet<_> = first
        .iter()
        .map(|e| &e.event.metadata.correlation_id)
        .collect();
    assert_eq!(correlations.len(), cases);
    assert_eq!(events(folder.join(file), aggregate_type), first);

    let retold = Retold::open("memory:").await.unwrap();
    for is_new in [true, false] {
        for imported in &first {
            let appended = retold.append(imported.event.clone()).await.unwrap();
            assert_eq!(appended.is_new, is_new);
        }
        let head = retold.store().head().await.unwrap();
        assert_eq!(head.position, count as u64);
        assert_eq!(count_streams(&retold).await, cases);
    }
    for [case, event_type, timestamp, actor] in thirds {
        let events = retold
            .events(aggregate_type, *case)
            .from_sequence(3)
            .limit(1);
        let events = events.await.unwrap().into_events().unwrap();
        assert_eq!(*events[0].event_type, **event_type, "{case}");
        assert_eq!(
            events[0].metadata.timestamp.to_string(),
            *timestamp,
            "{case}"
        );
        assert_eq!(events[0].metadata.actor.as_deref(), Some(*actor), "{case}");
    }
}

async fn count_streams(retold: &Retold) -> usize {
    let mut query = StreamsQuery {
        limit: 1_000,
        ..StreamsQuery::default()
    };
    let mut count = 0;
    loop {
        let page = retold.streams(query.clone()).await.unwrap();
        count += page.streams.len();
        match page.next {
            Some(next) => query.after = Some(next),
            None => return count,
        }
    }
}

#[tokio::test]
async fn the_help_desk_has_4580_cases_and_21348_events() {
    let thirds = [
        [
            "Case 1",
            "Take in charge ticket",
            "2012-10-12T15:02:56Z",
            "Value 2",
        ],
        ["Case 2500", "Wait", "2010-09-15T16:44:06Z", "Value 16"],
        [
            "Case 4580",
            "Resolve ticket",
            "2012-01-10T17:07:40Z",
            "Value 6",
        ],
    ];
    check("helpdesk.xes.gz", "Ticket", 4_580, 21_348, &thirds).await;
}

#[tokio::test]
async fn the_building_permits_have_1434_cases_and_8577_events() {
    let thirds = [
        [
            "case-10011",
            "T03 Adjust confirmation of receipt",
            "2011-11-24T14:36:51.302Z",
            "Resource21",
        ],
        [
            "case-6379",
            "T06 Determine necessity of stop advice",
            "2011-03-24T13:37:55.57Z",
            "Resource04",
        ],
        [
            "case-9997",
            "T04 Determine confirmation of receipt",
            "2011-10-18T07:05:12.359Z",
            "Resource06",
        ],
    ];
    check("receipt.csv.gz", "Permit", 1_434, 8_577, &thirds).await;
}

#[test]
fn every_attribute_of_an_event_is_kept() {
    let Some(folder) = logs() else { return };
    let payload = |file: &str, case: &str| {
        let events = events(folder.join(file), "T");
        let of_case = |e: &&ImportEvent| &**e.event.stream.aggregate_id() == case;
        let third = events.iter().filter(of_case).nth(2).unwrap();
        third.event.payload.to_string()
    };
    assert_eq!(
        payload("helpdesk.xes.gz", "Case 2500"),
        "{\"seriousness\":\"Value 1\",\"customer\":\"Value 9\",\"product\":\"Value 3\",\
         \"responsible_section\":\"Value 1\",\"seriousness_2\":\"Value 1\",\
         \"service_level\":\"Value 2\",\"service_type\":\"Value 2\",\
         \"support_section\":\"Value 1\",\"workgroup\":\"Value 2\"}"
    );
    assert_eq!(
        payload("receipt.csv.gz", "case-10011"),
        "{\"case:channel\":\"Internet\",\"case:deadline\":\"2011-12-06 13:41:31.788000+01:00\",\
         \"case:department\":\"General\",\
         \"case:enddate_planned\":\"2011-12-06 13:41:31.788000+01:00\",\"case:group\":\"Group 2\",\
         \"case:responsible\":\"Resource21\",\"case:startdate\":\"2011-10-11 13:42:22.688000+02:00\",\
         \"concept:instance\":\"task-42957\",\"lifecycle:transition\":\"complete\",\
         \"org:group\":\"Group 1\"}"
    );
}
