//! The made-up logs in `tests/data`: every kind of attribute, and one history in two formats.

use super::{accepted, gzip, options, read, small};
use crate::import::{Format, ImportEvent, Options, open};

fn names(events: &[ImportEvent]) -> Vec<[String; 6]> {
    let names = events.iter().map(|imported| {
        let event = &imported.event;
        let actor = event.metadata.actor.as_deref();
        [
            event.stream.to_string(),
            event.event_type.to_string(),
            event.metadata.timestamp.to_string(),
            actor.unwrap_or("nobody").to_owned(),
            event.metadata.event_id.to_string(),
            event.metadata.correlation_id.to_string(),
        ]
    });
    names.collect()
}

#[test]
fn xes_gives_every_attribute_in_its_type() {
    let events = accepted(open(&small("small.xes"), options()).unwrap());
    let payloads: Vec<&str> = events.iter().map(|e| e.event.payload.as_str()).collect();
    assert_eq!(
        payloads,
        [
            r#"{"gears":21,"estimate":49.90,"billable":false,"tag":"b7a0c1de-0000-4000-8000-000000000001","case:bicycle":"Fahrrad & Söhne","case:branch":"North"}"#,
            r#"{"parts":[{"part":"chain"},{"part":"brake pad"}],"supplier":{"name":"Räder, Ltd","days":3},"note":{"value":"urgent","attributes":{"language":"en"}},"billable":true,"case:bicycle":"Fahrrad & Söhne","case:branch":"North"}"#,
            r#"{"billable":true,"case:branch":"South"}"#,
            r#"{"billable":true,"case:branch":"South"}"#,
            r#"{"billable":true,"case:branch":"South"}"#,
            r#"{"billable":true,"case:branch":"North"}"#,
        ]
    );
    let text = std::fs::read_to_string(small("small.xes")).unwrap();
    let written = text.lines().zip(1..);
    let written = written.filter(|(line, _)| line.trim() == "<event>");
    let lines = open(&small("small.xes"), options()).unwrap();
    let read = lines.map(|line| line.unwrap().number);
    assert!(read.eq(written.map(|(_, number)| number)));
}

#[test]
fn cases_types_instants_and_actors_are_those_of_the_file() {
    let events = names(&accepted(open(&small("small.xes"), options()).unwrap()));
    let first_four = |event: &[String; 6]| event[..4].join(" | ");
    let events: Vec<String> = events.iter().map(first_four).collect();
    assert_eq!(
        events,
        [
            "Repair/repair 1/ä \"red\" | bicycle received | 2024-03-01T08:00:00Z | Ada",
            "Repair/repair 1/ä \"red\" | part ordered | 2024-03-01T09:30:00.123456Z | Bo",
            "Repair/repair 2 | bicycle received | 2024-03-02T08:00:00Z | nobody",
            "Repair/repair 2 | wheel trued | 2024-03-02T08:15:00Z | Ada",
            "Repair/repair 2 | wheel trued | 2024-03-02T08:15:00Z | Ada",
            "Repair/repair 1/ä \"red\" | bicycle returned | 2024-03-05T22:00:00Z | Ada",
        ]
    );
}

#[test]
fn the_same_history_has_the_same_ids_in_both_formats_and_again() {
    let xes = names(&accepted(open(&small("small.xes"), options()).unwrap()));
    let csv = accepted(open(&small("small.csv"), options()).unwrap());
    assert_eq!(names(&csv), xes);
    assert_eq!(
        csv[0].event.payload.as_str(),
        r#"{"made up":"yes","note":"two\nlines, and a comma"}"#
    );
    assert_eq!(csv[1].event.payload.as_str(), r#"{"made up":"yes"}"#);
    let again = accepted(open(&small("small.csv"), options()).unwrap());
    assert_eq!(again, csv);

    let mut ids: Vec<&String> = xes.iter().map(|event| &event[4]).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "events that are equal in every field differ");
    assert_eq!(xes[0][5], xes[5][5], "a case is one correlation");
    assert_ne!(xes[0][5], xes[2][5]);
}

#[test]
fn another_type_gives_other_ids() {
    let of_type = |name: &str| {
        let options = Options {
            aggregate_type: Some(name.to_owned()),
            ..Options::default()
        };
        names(&accepted(open(&small("small.csv"), options).unwrap()))
    };
    assert_ne!(of_type("A")[0][4], of_type("B")[0][4]);
}

#[test]
fn packed_files_and_several_packed_in_one_are_read_alike() {
    let text = std::fs::read(small("small.csv")).unwrap();
    let plain = accepted(read(Format::Csv, text.clone(), options()).unwrap());
    let (first, second) = text.split_at(200);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.csv.gz");
    std::fs::write(&path, [gzip(first), gzip(second)].concat()).unwrap();
    let import = open(&path, options()).unwrap();
    let progress = import.progress();
    assert_eq!(accepted(import), plain);
    assert_eq!(Some(progress.bytes_read()), progress.bytes_total());
    // What is packed is unpacked, whatever it is called.
    assert_eq!(
        accepted(read(Format::Csv, gzip(&text), options()).unwrap()),
        plain
    );
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_column() {
    for (format, name) in [(Format::Csv, "small.csv"), (Format::Xes, "small.xes")] {
        let text = std::fs::read(small(name)).unwrap();
        let marked = [b"\xef\xbb\xbf".to_vec(), text].concat();
        assert_eq!(accepted(read(format, marked, options()).unwrap()).len(), 6);
    }
}

#[test]
fn flags_say_which_attribute_is_what() {
    let text = "Vorgang;Was;Wann;Wer\n1;los;31.01.2024 12:00;Ada";
    let mut options = options();
    options.fields.case = Some("Vorgang".to_owned());
    options.fields.event_type = Some("Was".to_owned());
    options.fields.timestamp = Some("Wann".to_owned());
    options.fields.actor = Some("Wer".to_owned());
    options.time_format = Some("%d.%m.%Y %H:%M".to_owned());
    options.offset = Some(crate::import::parse_offset("+01:00").unwrap());
    let events = names(&accepted(read(Format::Csv, text, options).unwrap()));
    let expected = ["Repair/1", "los", "2024-01-31T11:00:00Z", "Ada"];
    assert_eq!(events[0][..4], expected);

    let text = "<log><trace><string key='nr' value='7'/><event><string key='was' value='los'/>\
                <date key='wann' value='2024-01-31T12:00:00Z'/></event></trace></log>";
    let mut options = super::options();
    options.fields.case = Some("nr".to_owned());
    options.fields.event_type = Some("was".to_owned());
    options.fields.timestamp = Some("wann".to_owned());
    let events = names(&accepted(read(Format::Xes, text, options).unwrap()));
    let expected = ["Repair/7", "los", "2024-01-31T12:00:00Z", "nobody"];
    assert_eq!(events[0][..4], expected);
}

#[test]
fn an_xes_event_outside_of_traces_names_its_case() {
    let text = "<log><event><string key='case:concept:name' value='7'/>\
                <string key='concept:name' value='a'/><string key='x' value='y'/>\
                <date key='time:timestamp' value='2024-01-31T12:00:00Z'/></event></log>";
    let events = accepted(read(Format::Xes, text, options()).unwrap());
    assert_eq!(&**events[0].event.stream.aggregate_id(), "7");
    assert_eq!(events[0].event.payload.as_str(), r#"{"x":"y"}"#);
}
