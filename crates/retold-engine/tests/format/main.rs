//! FORMAT.md and the engine say the same: the bytes that the document draws are compared with
//! those that the engine writes, and a reader that follows the document reads whole logs.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod reader;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use retold_contract::ManualClock;
use retold_core::{
    Append, Checkpoint, EventStore, Json, NewEvent, RecordedEvent, RestoreBatch, StreamId,
    Timestamp,
};
use retold_engine::{EngineStore, Options, Remedy, recover};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const FORMAT: &str = include_str!("../../../../FORMAT.md");
const LOG: Uuid = Uuid::from_u128(0x00112233_4455_6677_8899_aabbccddeeff);
const FIRST: &str = "log/00000000000000000001.log";

const EVENTS: u8 = 1;
const MARK: u8 = 2;
const FORK: u8 = 3;
const DAMAGE: u8 = 4;
const RESTORE_BEGUN: u8 = 5;
const RESTORE_DONE: u8 = 6;

/// The bytes that a block of the document draws: ```` ```hex name ````, then lines of an
/// offset, bytes and a remark behind a semicolon.
fn drawn(name: &str) -> Vec<u8> {
    let begin = format!("```hex {name}\n");
    let block = FORMAT
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no block {name}"))
        .1;
    let block = block.split_once("```").unwrap().0;
    let mut bytes = Vec::new();
    for line in block.lines() {
        let mut words = line.split(';').next().unwrap().split_whitespace();
        let offset = usize::from_str_radix(words.next().unwrap(), 16).unwrap();
        assert_eq!(offset, bytes.len(), "{line}");
        bytes.extend(words.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn open(folder: &Path, options: Options) -> EngineStore {
    EngineStore::open(
        folder,
        Options {
            log_id: Some(LOG),
            reserve_bytes: 4096,
            ..options
        },
    )
    .unwrap()
}

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap()
}

fn short(number: u32) -> NewEvent {
    NewEvent::from_json(
        StreamId::new("Issue", "42").unwrap(),
        "closed",
        Json::null(),
    )
    .event_id(Uuid::from_u128(number.into()))
    .timestamp(at("1970-01-01T00:00:00.000001Z"))
    .correlation_id("c")
}

fn full() -> NewEvent {
    let id = "018f4e1c-7a2b-7c3d-8e4f-5a6b7c8d9e0f";
    NewEvent::from_json(
        StreamId::new("Issue", id).unwrap(),
        "opened",
        Json::parse("[1]").unwrap(),
    )
    .event_id(Uuid::from_u128(0xf0))
    .timestamp(at("1969-12-31T23:59:59.999999Z"))
    .correlation_id("c")
    .version("2.0.0")
    .causation_id("mail")
    .actor("ann")
    .tag("urgent")
    .extra("k", Json::parse("true").unwrap())
}

#[tokio::test]
async fn the_engine_writes_the_bytes_that_the_document_draws() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(at("2024-01-31T12:00:00Z")));
    let options = Options {
        clock,
        holder: "process 7\n".into(),
        ..Options::default()
    };
    let store = open(folder.path(), options);
    store
        .append(Append::new(vec![full(), short(0xf1)]))
        .await
        .unwrap();
    store.close().await.unwrap();
    let written = fs::read(folder.path().join(FIRST)).unwrap();
    let expected = drawn("segment");
    let length = expected.len();
    assert_eq!(hex(&written[..length]), hex(&expected));
    assert!(written[length..].iter().all(|byte| *byte == 0));
    let head = fs::read_to_string(folder.path().join("HEAD")).unwrap();
    assert!(
        FORMAT.contains(&format!("```text HEAD\n{head}```")),
        "{head}"
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("LOCK")).unwrap(),
        "process 7\n"
    );
}

#[tokio::test]
async fn a_reader_that_follows_the_document_reads_a_log_of_many_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut written: Vec<RecordedEvent> = Vec::new();
    for opening in 0..3 {
        let store = open(
            folder.path(),
            Options {
                segment_bytes_max: 1024,
                ..Options::default()
            },
        );
        for number in 0..8 {
            let events = vec![
                short(100 + opening * 100 + number),
                short(1000 + opening * 100 + number),
            ];
            written.extend(store.append(Append::new(events)).await.unwrap().events);
        }
        store.close().await.unwrap();
    }
    let head = fs::read_to_string(folder.path().join("HEAD")).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path().join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 3);
    assert_eq!(reader::head(&head), (names.last().unwrap().clone(), LOG));
    let mut read = Vec::new();
    let mut previous = (0, 0, 0, [0; 32]);
    let mut epoch = 0;
    for name in &names {
        let bytes = fs::read(folder.path().join("log").join(name)).unwrap();
        let segment = reader::segment(&bytes);
        assert_eq!(*name, format!("{:020}.log", segment.first_position));
        assert_eq!((segment.log_id, segment.previous), (LOG, previous));
        for frame in &segment.frames {
            assert_eq!(frame.first_position, read.len() as u64 + 1);
            assert!(frame.epoch >= epoch && frame.durable_offset <= frame.offset as u64);
            epoch = frame.epoch;
            for (record, position) in frame.records.iter().zip(frame.first_position..) {
                assert_eq!(frame.kind, EVENTS);
                read.push(reader::event(record, LOG, position));
            }
        }
        let digest = segment.frames.last().unwrap().digest;
        previous = (
            segment.first_position,
            read.len() as u64,
            segment.end as u64,
            digest,
        );
        assert!(bytes[segment.end..].iter().all(|byte| *byte == 0));
    }
    assert_eq!(epoch, 3);
    assert_eq!(read, written);
}

/// The kinds of the frames of the first segment but for marks, of which there may be one behind
/// each, and the JSON of those that hold any.
fn decisions(bytes: &[u8]) -> (Vec<u8>, Vec<serde_json::Value>) {
    let segment = reader::segment(bytes);
    let ends = [segment.frames.first(), segment.frames.last()];
    assert!(ends.iter().flatten().all(|frame| frame.kind == MARK));
    let kinds = segment.frames.iter().map(|frame| frame.kind);
    let kinds = kinds.filter(|kind| *kind != MARK).collect();
    let controls = segment.frames.iter().filter(|frame| frame.kind > MARK);
    let json = controls.map(|frame| {
        assert_eq!(frame.records.len(), 1);
        let (fields, json) = reader::record(&frame.records[0], LOG, frame.first_position);
        assert_eq!(fields, 0);
        serde_json::from_slice(json).unwrap()
    });
    (kinds, json.collect())
}

#[tokio::test]
async fn decisions_about_the_log_are_json_in_frames_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Uuid::from_u128(5);
    let store = open(folder.path(), Options::default());
    let events = vec![
        short(1).record(1, 1, Timestamp::MIN),
        short(2).record(2, 2, Timestamp::MIN),
    ];
    store
        .restore(RestoreBatch {
            origin,
            events,
            is_last: true,
        })
        .await
        .unwrap();
    store.close().await.unwrap();
    let path = folder.path().join(FIRST);
    let (kinds, json) = decisions(&fs::read(&path).unwrap());
    assert_eq!(kinds, [RESTORE_BEGUN, EVENTS, RESTORE_DONE]);
    assert_eq!(json, [json!({ "origin": origin }), json!({})]);

    let derived = Checkpoint {
        log_id: LOG,
        position: 9,
        event_id: Uuid::from_u128(9),
    };
    let remedy = Remedy::AcceptLoss {
        reason: "a lost disk".into(),
        evidence: vec![derived],
    };
    let recovered = recover(folder.path(), remedy).unwrap();
    let (kinds, json) = decisions(&fs::read(&path).unwrap());
    assert_eq!(kinds[3..], [FORK, FORK]);
    let ignored = json!([{ "logId": LOG, "position": 9, "eventId": derived.event_id }]);
    let fork = json!({ "logId": recovered.log_id, "position": 2, "reason": "a lost disk", "ignored": ignored });
    assert_eq!(json[2..], [fork.clone(), fork]);

    let mut bytes = fs::read(&path).unwrap();
    let mut frames = reader::segment(&bytes).frames.into_iter();
    let frame = frames.find(|frame| frame.kind == EVENTS).unwrap();
    let end = frames.next().unwrap().offset;
    let damaged = frame.offset + reader::FRAME_HEADER_BYTES + frame.records[0].len() - 1;
    bytes[damaged] ^= 1;
    fs::write(&path, bytes).unwrap();
    recover(folder.path(), Remedy::AcceptDamage).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[damaged] ^= 1;
    let (kinds, json) = decisions(&bytes);
    assert_eq!(kinds[5..], [DAMAGE, DAMAGE, DAMAGE, DAMAGE]);
    let lost = json!({
        "first": 1,
        "last": 1,
        "aggregateType": "Issue",
        "aggregateId": "42",
        "sequenceNumber": 1,
        "eventId": Uuid::from_u128(1),
    });
    let place = json!({ "segment": 1, "offset": frame.offset, "end": end });
    let losses = json!({ "places": [], "lost": [lost] });
    let places = json!({ "places": [place], "lost": [] });
    assert_eq!(json[4..], [losses.clone(), losses, places.clone(), places]);
}

#[tokio::test]
async fn an_unfinished_write_is_moved_aside_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(at("1970-01-01T00:00:00.000007Z")));
    let options = || Options {
        clock: clock.clone(),
        ..Options::default()
    };
    open(folder.path(), options()).close().await.unwrap();
    let path = folder.path().join(FIRST);
    let mut bytes = fs::read(&path).unwrap();
    let end = reader::segment(&bytes).end;
    bytes[end..end + 5].copy_from_slice(b"\xf5RT\0F");
    fs::write(&path, bytes).unwrap();
    open(folder.path(), options()).close().await.unwrap();
    let cut = fs::read(folder.path().join("log/cut-7-1.bin")).unwrap();
    assert_eq!(cut, b"\xf5RT\0F");
    let frames = reader::segment(&fs::read(&path).unwrap()).frames;
    assert_eq!(frames.last().unwrap().epoch, 2);
}

#[test]
fn the_digest_of_an_event_is_that_of_the_bytes_that_the_document_draws() {
    let events = [("minimal", minimal()), ("full", complete())];
    for (name, event) in events {
        let digest = hex(&Sha256::digest(drawn(name)));
        assert_eq!(event.digest().to_string(), digest);
        assert!(
            FORMAT.contains(&digest),
            "the document does not say {digest}"
        );
    }
}

fn minimal() -> RecordedEvent {
    let stream = StreamId::new("Issue", "42").unwrap();
    NewEvent::from_json(stream, "start_work", Json::parse("{}").unwrap())
        .event_id(Uuid::from_u128(1))
        .timestamp(at("2024-01-31T12:00:00.000001Z"))
        .correlation_id("c")
        .record(1, 1, Timestamp::from_micros(0).unwrap())
}

fn complete() -> RecordedEvent {
    let mut event = minimal()
        .into_new()
        .causation_id("caused")
        .actor("user-123")
        .tag("urgent")
        .tag("\u{1F980}")
        .extra("traceparent", Json::parse(r#""00-ab-cd-01""#).unwrap());
    event.payload = Json::parse(r#"{"b":1.50,"a":"\u00e9\u0301"}"#).unwrap();
    event.record(7, 1 << 40, Timestamp::from_micros(-1).unwrap())
}
