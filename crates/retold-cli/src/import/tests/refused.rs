//! Lines that are refused: each by its number and with its reason, and none of the others lost.

use super::{options, outcome, read};
use crate::import::{Format, ImportEvent, Options};

fn csv(rows: &str) -> super::Outcome {
    let text = format!("case,activity,time,user\n{rows}");
    outcome(read(Format::Csv, text, options()))
}

fn xes(events: &str) -> super::Outcome {
    let text =
        format!("<log>\n<trace><string key='concept:name' value='1'/>\n{events}\n</trace></log>");
    outcome(read(Format::Xes, text, options()))
}

fn xes_event(attributes: &str) -> String {
    format!(
        "<event><string key='concept:name' value='a'/>\
         <date key='time:timestamp' value='2024-01-01T00:00:00Z'/>{attributes}</event>"
    )
}

fn ndjson(lines: &str) -> super::Outcome {
    outcome(read(Format::Ndjson, lines, Options::default()))
}

#[test]
fn each_bad_row_of_a_table_is_named_and_costs_no_other() {
    let long = "x".repeat(129);
    let long_case = "c".repeat(513);
    let rows = [
        "1,a,2024-01-01T00:00:00Z,Ada",
        "1,b,31/01/2024,Ada",
        ",b,2024-01-01T00:00:00Z,Ada",
        "1,,2024-01-01T00:00:00Z,Ada",
        "1,b\u{7},2024-01-01T00:00:00Z,Ada",
        &format!("1,{long},2024-01-01T00:00:00Z,Ada"),
        &format!("{long_case},b,2024-01-01T00:00:00Z,Ada"),
        "..,b,2024-01-01T00:00:00Z,Ada",
        "1,b,2024-01-01T00:00:00Z",
        "1,b,2024-01-01T00:00:00,Ada",
        "1,b,2024-01-01T00:00:00Z,A\u{1b}da",
        "1,z,2024-01-01T00:00:00Z,",
    ];
    let outcome = csv(&rows.join("\n"));
    assert_eq!(outcome.ended, None);
    let types = outcome.accepted.iter().map(|e| e.event.event_type.as_ref());
    assert_eq!(types.collect::<Vec<&str>>(), ["a", "z"]);
    let reasons = [
        (3, "read time \"31/01/2024\" as an instant: write it like"),
        (4, "find a value of case: every event belongs to a case"),
        (5, "find a value of activity"),
        (6, "accept eventType: must not hold control characters"),
        (7, "accept eventType: must be at most 128 bytes, not 129"),
        (8, "accept aggregateId: must be at most 512 bytes, not 513"),
        (9, "accept aggregateId: must not be . or .."),
        (10, "read it: it has 3 fields, the header has 4"),
        (
            11,
            "read time \"2024-01-01T00:00:00\" as an instant: it has no offset",
        ),
        (
            12,
            "accept metadata.actor: must not hold control characters",
        ),
    ];
    assert_eq!(outcome.refused.len(), reasons.len(), "{outcome:#?}");
    for ((line, reason), (expected_line, expected)) in outcome.refused.iter().zip(reasons) {
        assert_eq!(*line, expected_line);
        assert!(reason.starts_with(expected), "line {line}: {reason}");
    }
}

/// Mending a line must not rename the events behind it, or importing the mended file would be
/// a conflict of identity for each of them.
#[test]
fn a_refused_line_keeps_its_ordinal() {
    let ids = |outcome: &super::Outcome| -> Vec<_> {
        let id = |e: &ImportEvent| e.event.metadata.event_id;
        outcome.accepted.iter().map(id).collect()
    };
    let with = |second: &str| {
        csv(&format!(
            "1,a,2024-01-01T00:00:00Z,\n{second}\n1,c,2024-01-01T00:00:02Z,"
        ))
    };
    let mended = ids(&with("1,b,2024-01-01T00:00:01Z,"));
    for broken in ["1,b,?,", "1,b", "1,b,2024-01-01T00:00:01Z,,"] {
        assert_eq!(ids(&with(broken)), [mended[0], mended[2]], "{broken}");
    }
}

#[test]
fn each_bad_event_of_a_trace_is_named_and_costs_no_other() {
    let nested = |depth: usize| {
        let open = "<container key='c'>".repeat(depth);
        format!("{open}{}", "</container>".repeat(depth))
    };
    let events = [
        xes_event(""),
        xes_event("<int key='n' value='one'/>"),
        xes_event("<string key='k' value='1'/><string key='k' value='2'/>"),
        xes_event("<string value='1'/>"),
        xes_event("<string key='k'/>"),
        xes_event("<string key='k' value='&secret;'/>"),
        xes_event("<enum key='k' value='1'/>"),
        xes_event(&nested(200)),
        "<event><date key='time:timestamp' value='2024-01-01T00:00:00Z'/></event>".to_owned(),
        "<event><string key='concept:name' value='a'/></event>".to_owned(),
        "<event/>".to_owned(),
        xes_event(&format!(
            "<string key='k' value='{}'/>",
            "x".repeat(961 * 1024)
        )),
        xes_event(&nested(100)),
    ];
    let outcome = xes(&events.join("\n"));
    assert_eq!(outcome.ended, None);
    assert_eq!(outcome.accepted.len(), 2, "{:#?}", outcome.refused);
    let reasons = [
        (4, "read it: in line 4, \"n\" is not of type int: \"one\""),
        (5, "read it: it has \"k\" twice"),
        (6, "read it: in line 6, <string> has no key"),
        (7, "read it: in line 7, \"k\" has no value"),
        (8, "read it: in line 8, "),
        (9, "read it: in line 9, \"k\" is not of type enum"),
        (10, "accept payload: nested more than 128 levels deep"),
        (11, "find a value of concept:name"),
        (12, "find a value of time:timestamp"),
        (13, "find a value of concept:name"),
        (14, "accept payload: "),
    ];
    assert_eq!(
        outcome.refused.len(),
        reasons.len(),
        "{:#?}",
        outcome.refused
    );
    for ((line, reason), (expected_line, expected)) in outcome.refused.iter().zip(reasons) {
        assert_eq!(*line, expected_line, "{reason}");
        assert!(reason.starts_with(expected), "line {line}: {reason}");
    }
}

#[test]
fn an_event_without_a_case_is_refused() {
    let event = xes_event("");
    let text = format!("<log><trace>{event}</trace>{event}</log>");
    let outcome = outcome(read(Format::Xes, text, options()));
    let reasons: Vec<&str> = outcome.refused.iter().map(|(_, r)| r.as_str()).collect();
    assert!(reasons[0].contains("a value of concept:name in the trace"));
    assert_eq!(reasons.len(), 2);
}

#[test]
fn each_bad_line_of_ndjson_is_named_and_costs_no_other() {
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(8 * 1024 * 1024));
    let deep = "[".repeat(200) + &"]".repeat(200);
    let event = |more: &str| {
        format!(r#"{{"aggregateType":"T","aggregateId":"1","eventType":"a","payload":null{more}}}"#)
    };
    let lines = [
        event(""),
        "{".to_owned(),
        event(r#","surprise":1"#),
        r#"{"aggregateId":"1","eventType":"a","payload":null}"#.to_owned(),
        r#"{"aggregateType":"T","aggregateId":"1","eventType":"a"}"#.to_owned(),
        event(r#","expected":"perhaps""#),
        event(r#","position":7"#),
        event(r#","metadata":{"timestamp":"yesterday"}"#),
        long,
        String::new(),
        event(&format!(r#","metadata":{{"deep":{deep}}}"#)),
        event("").replace("\"1\"", "\"\""),
        event("").replace("\"T\"", "\"1\""),
        event(r#","expected":"no_stream","tags":["x"]"#),
    ];
    let outcome = ndjson(&lines.join("\n"));
    assert_eq!(outcome.ended, None);
    let numbers: Vec<u64> = outcome.refused.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13]);
    let hint = &outcome.refused[2].1;
    assert!(
        hint.starts_with("find aggregateType: name it in the line"),
        "{hint}"
    );
    assert_eq!(outcome.accepted.len(), 2);
    assert_eq!(
        outcome.accepted[1].expected,
        Some(retold::Expected::NoStream)
    );
}

#[test]
fn ndjson_without_ids_gets_the_same_ones_again() {
    let line = r#"{"aggregateType":"T","aggregateId":"1","eventType":"a","payload":{}}"#;
    let own = r#"{"aggregateType":"T","aggregateId":"1","eventType":"a","payload":{},"metadata":{"eventId":"0190a000-0000-7000-8000-000000000000","correlationId":"c"}}"#;
    let text = [line, line, own].join("\r\n");
    let (first, again) = (ndjson(&text), ndjson(&text));
    let ids = |outcome: &super::Outcome| -> Vec<_> {
        let ids = |e: &ImportEvent| {
            let metadata = &e.event.metadata;
            (metadata.event_id, metadata.correlation_id.clone())
        };
        outcome.accepted.iter().map(ids).collect()
    };
    assert_eq!(ids(&first), ids(&again));
    assert_ne!(ids(&first)[0].0, ids(&first)[1].0);
    assert_eq!(&*ids(&first)[2].1, "c");

    let untyped = line.replace(r#""aggregateType":"T","#, "");
    let typed = outcome(read(Format::Ndjson, untyped, options()));
    assert_eq!(&**typed.accepted[0].event.stream.aggregate_type(), "Repair");
}
