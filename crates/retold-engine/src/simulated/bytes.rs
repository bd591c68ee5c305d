//! Arbitrary bytes in the place of what a log holds: no panic, no hang, and no memory that
//! grows with what a length field says. Bytes that no checksum fits are refused early, so most
//! of these carry checksums that fit.

use std::io;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use retold_core::LogId;

use super::{Engine, FOLDER, event, frames, one, options, segment};
use crate::disk::sim::SimDisk;
use crate::disk::{Access, Disk, File, Lock};
use crate::log::control::Control;
use crate::log::frame::{HEADER_BYTES, Header, Kind};
use crate::log::record;
use crate::log::segment::{PreviousSegment, SegmentHeader};
use crate::{EngineStore, Remedy, recover_on, verify_on};

const LOG: LogId = uuid::Uuid::from_u128(7);

/// By how much a read may be longer than its file: what is read at once however short it is.
const SLACK_BYTES: u64 = 64 * 1024;

const KINDS: [Kind; 6] = [
    Kind::Events,
    Kind::Mark,
    Kind::Fork,
    Kind::Damage,
    Kind::RestoreBegun,
    Kind::RestoreDone,
];

/// A disk on which nobody may ask for more than a file has.
#[derive(Clone)]
struct Watching(SimDisk);

struct WatchedFile(Arc<dyn File>);

impl Disk for Watching {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.0.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let file = self.0.open(path, access)?;
        Ok(Arc::new(WatchedFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.sync_folder(folder)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Result<Lock, String>> {
        self.0.lock(path, holder)
    }
}

impl File for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (asked, length) = (buffer.len() as u64, self.0.len()?);
        assert!(
            asked <= length + SLACK_BYTES,
            "{asked} bytes are asked of a file that has {length}"
        );
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        self.0.reserve(end)
    }
}

/// Everything that reads a folder it does not trust, one after the other; what each answers is
/// not looked at, and that each comes back with an answer is all that counts.
fn read_in_every_way(disk: &SimDisk) {
    let watching = || Arc::new(Watching(disk.clone()));
    let _ = verify_on(&*watching(), FOLDER);
    let followed = EngineStore::open_read_only_unstarted(watching(), FOLDER.into(), options());
    if let Ok((_store, follower)) = followed {
        let _ = follower.look();
    }
    let opened = EngineStore::open_unstarted(watching(), FOLDER.into(), options());
    if let Ok((store, _background)) = opened {
        let visible = &store.shared().visible;
        for position in 1..=visible.head().position.min(64) {
            let _ = visible.event(position);
        }
    }
    let loss = Remedy::AcceptLoss {
        reason: "why not".into(),
        evidence: Vec::new(),
    };
    for remedy in [Remedy::AcceptDamage, loss] {
        let _ = recover_on(watching(), FOLDER, remedy);
    }
    let _ = EngineStore::open_unstarted(watching(), FOLDER.into(), options());
}

/// A log of three segments.
fn log() -> SimDisk {
    let disk = SimDisk::default();
    let mut engine = Engine::open(&disk).unwrap();
    for nth in 0..14 {
        engine
            .append(one(&event(&format!("{}", nth % 3), &"x".repeat(80))))
            .unwrap();
    }
    engine.mark();
    disk
}

/// A frame of arbitrary content whose own checksum fits.
fn forged_frame() -> impl Strategy<Value = Vec<u8>> {
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>());
    let near = prop_oneof![Just(0_u64), Just(1), Just(15), any::<u64>()];
    (
        0..KINDS.len(),
        vec(any::<u8>(), 0..200),
        vec(any::<u32>(), 0..5),
        numbers,
        near,
    )
        .prop_map(
            |(kind, records, mut table, (_, position, epoch, durable), near)| {
                // One length that makes the table fit now and then.
                if let Some(first) = table.first_mut() {
                    *first = records.len() as u32;
                }
                let mut bytes = vec![0; HEADER_BYTES];
                bytes.extend_from_slice(&records);
                table
                    .iter()
                    .for_each(|length| bytes.extend_from_slice(&length.to_le_bytes()));
                let header = Header {
                    kind: KINDS[kind],
                    frame_bytes: bytes.len() as u32,
                    count: table.len() as u32,
                    first_position: if position % 2 == 0 { near } else { position },
                    epoch: epoch % 5,
                    durable_offset: durable % 4096,
                    previous: [0; 32],
                };
                header.seal(&mut bytes, LOG);
                bytes
            },
        )
}

/// A record of arbitrary content whose checksum fits.
fn forged_record(body: &[u8], fields: u8, position: u64) -> Vec<u8> {
    let mut record = vec![0; 8];
    record.extend_from_slice(&[0, fields & 31, 0, 0]);
    record.extend_from_slice(body);
    let length = record.len() as u32;
    record[..4].copy_from_slice(&length.to_le_bytes());
    let bound = crc32c::crc32c_append(crc32c::crc32c(LOG.as_bytes()), &position.to_le_bytes());
    let checksum = crc32c::crc32c_append(bound, &record[8..]);
    record[4..8].copy_from_slice(&checksum.to_le_bytes());
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_records_whose_checksum_fits_decode_or_are_refused(
        body in vec(any::<u8>(), 0..300),
        fields: u8,
        position in 1_u64..5,
    ) {
        let record = bytes::Bytes::from(forged_record(&body, fields, position));
        if let Ok(view) = record::decode(&record, LOG, position) {
            let _ = (view.stream(), view.correlation_id(), view.tags().count());
            let _ = view.to_event(&record, position, &mut record::Names::default());
        }
        let _ = record::decode_control(&record, LOG, position);
    }

    #[test]
    fn arbitrary_frames_whose_checksum_fits_are_read_or_refused(frame in forged_frame()) {
        let claimed = Header::claimed_bytes(&frame, frame.len() as u64);
        prop_assert_eq!(claimed.unwrap(), frame.len());
        if let Ok(header) = Header::decode(&frame, LOG)
            && let Some(places) = header.records(&frame)
        {
            prop_assert!(places.iter().all(|(from, length)| from + length <= frame.len()));
        }
    }

    #[test]
    fn arbitrary_decisions_parse_or_are_refused(
        kind in 0..KINDS.len(),
        noise in vec(any::<u8>(), 0..100),
        first: u64,
        last: u64,
    ) {
        let _ = Control::parse(KINDS[kind], &noise);
        let json = format!(
            r#"{{"places":[{{"segment":{first},"offset":{last}}}],"lost":[{{"first":{first},"last":{last}}}]}}"#
        );
        let _ = Control::parse(KINDS[kind], json.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_log_with_arbitrary_bytes_in_it_is_read_or_refused(
        file in 0_usize..4,
        at in 0_usize..2200,
        noise in vec(any::<u8>(), 1..300),
    ) {
        let disk = log();
        let paths: Vec<_> = disk.paths();
        let path = &paths[file % paths.len()];
        let mut content = disk.content(path).unwrap();
        let at = at % (content.len() + 1);
        content.resize(content.len().max(at + noise.len()), 0);
        content[at..at + noise.len()].copy_from_slice(&noise);
        disk.tamper(path, content);
        read_in_every_way(&disk);
    }

    #[test]
    fn a_log_with_forged_frames_in_it_is_read_or_refused(
        frames_forged in vec(forged_frame(), 1..4),
        nth in 0_usize..12,
        which in 0_usize..3,
    ) {
        let disk = log();
        let segments: Vec<_> = disk
            .paths()
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "log"))
            .collect();
        let path = &segments[which % segments.len()];
        let mut content = disk.content(path).unwrap();
        let places = frames(&content);
        let mut at = places[nth % places.len()];
        for frame in &frames_forged {
            content.resize(content.len().max(at + frame.len()), 0);
            content[at..at + frame.len()].copy_from_slice(frame);
            at += frame.len().next_multiple_of(8);
        }
        disk.tamper(path, content);
        read_in_every_way(&disk);
    }

    #[test]
    fn a_folder_of_nothing_but_arbitrary_bytes_is_read_or_refused(
        head in vec(any::<u8>(), 0..120),
        first in vec(any::<u8>(), 0..2000),
        has_header: bool,
        has_head: bool,
        last_position in 0_u64..1000,
    ) {
        let disk = log();
        for path in disk.paths() {
            disk.lose(path);
        }
        let mut content = Vec::new();
        if has_header {
            let header = SegmentHeader {
                log_id: LOG,
                first_position: last_position + 1,
                previous: PreviousSegment { last_position, bytes: 1 << 40, ..Default::default() },
            };
            content.extend_from_slice(&header.encode());
        }
        content.extend_from_slice(&first);
        disk.tamper(segment(last_position + 1), content);
        if has_head {
            disk.tamper(format!("{FOLDER}/HEAD"), head);
        }
        read_in_every_way(&disk);
    }
}
