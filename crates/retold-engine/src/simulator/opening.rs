//! Opening the log after whatever happened, and looking whether it holds what it must: all that
//! was acknowledged or seen, once, in order, and nothing that was never appended.

use std::collections::BTreeMap;
use std::path::PathBuf;

use retold_core::{Entry, Error, EventStore, LogId, LogQuery, Position, RecordedEvent};

use super::engine::{Engine, FOLDER, now};
use super::harm::Candidate;
use super::model::{Model, is_same};
use super::world::World;
use crate::disk::sim::Call;
use crate::log::segment::{file_name, position_of};
use crate::verify_on;

/// Times that the log is opened in a row before that counts as never.
const ATTEMPTS_MAX: usize = 24;

/// Entries of a page when a whole log is read.
const PAGE_ENTRIES: usize = 40;

/// Bytes of the end of the log before an opening.
struct Before {
    segment: Option<(Position, Vec<u8>)>,
}

impl World {
    /// Opens the log for appends, however often that takes. What stands in the way for good is
    /// decided by the operator.
    pub(super) fn open(&mut self) {
        for attempt in 0..ATTEMPTS_MAX {
            if self.engine.is_some() {
                return;
            }
            self.disturb_opening(attempt);
            let failures = self.disk.failures();
            let before = self.before();
            let opened = Engine::open(&self.disk, self.options());
            let is_disturbed = self.disk.failures() > failures
                || self.disk.has_halted()
                || self.disk.has_room_limit();
            if self.disk.has_halted() {
                self.note(|| "the process dies while it opens the log".to_owned());
                drop(opened);
                match self.dice.flip() {
                    true => self.cut_power(),
                    false => {
                        self.disk.kill();
                        self.disk.set_room(None);
                    }
                }
                continue;
            }
            match opened {
                Ok(engine) if engine.store.refusal().is_none() => {
                    // What was to go wrong was to do so while the log is opened.
                    self.disk.heal();
                    self.opened(engine, &before, is_disturbed);
                    self.disk.set_room(None);
                }
                Ok(engine) => {
                    let refusal = engine.store.refusal().cloned();
                    self.note(|| format!("open for reading only: {refusal:?}"));
                    self.check_refused(&engine);
                    drop(engine);
                    self.not_opened(is_disturbed, refusal);
                }
                Err(error) => {
                    self.note(|| format!("not opened: {error}"));
                    self.not_opened(is_disturbed, Some(error));
                }
            }
        }
        assert!(self.engine.is_some(), "the log does not open again");
    }

    /// Lets something go wrong while the log is opened.
    fn disturb_opening(&mut self, attempt: usize) {
        // Sooner or later nothing is in the way.
        if attempt > 2 {
            return;
        }
        match self.dice.below(20) {
            0..3 => {
                let call = *self.dice.pick(&Call::ALL);
                let nth = 1 + self.dice.below(6);
                self.note(|| format!("while opening, the {nth}. {call:?} fails"));
                self.disk.fail_nth(call, nth, std::io::ErrorKind::Other);
            }
            3 | 4 => self
                .disk
                .halt_at(self.disk.calls() + 1 + self.dice.below(10)),
            5 => self.disk.set_room(Some(self.dice.below(300))),
            _ => {}
        }
    }

    fn before(&mut self) -> Before {
        let paths = self.disk.paths();
        let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
        let newest = names.filter_map(position_of).max();
        let content = |newest| {
            self.disk
                .content(format!("{FOLDER}/log/{}", file_name(newest)))
        };
        let tells = |path: &PathBuf| {
            let path = path.to_string_lossy();
            [".log", ".run", "HEAD"]
                .iter()
                .any(|end| path.ends_with(end))
        };
        self.harm.is_nothing_left |= self.harm.is_missing && !paths.iter().any(tells);
        Before {
            segment: newest.and_then(|newest| Some((newest, content(newest)?))),
        }
    }

    fn not_opened(&mut self, is_disturbed: bool, error: Option<Error>) {
        self.disk.heal();
        self.disk.set_room(None);
        if is_disturbed {
            return;
        }
        let Some(error) = error else { return };
        assert!(
            self.harm.is_any(),
            "nothing happened that may lose anything, but the log is refused: {error}"
        );
        assert!(
            matches!(error, Error::Corrupt { .. }),
            "damage is reported as something else: {error}"
        );
        self.decide();
    }

    /// What a log that is refused still shows must be what it held.
    fn check_refused(&mut self, engine: &Engine) {
        let visible = &engine.store.shared().visible;
        let head = visible.head().position;
        for position in 1..=head {
            let Ok(event) = visible.event(position) else {
                continue;
            };
            let found = Entry::Event(event);
            let is_known = self.is_known(&found);
            assert!(
                is_known,
                "a log that is refused shows what it never held: {found:?}"
            );
        }
        self.report.reads += head;
    }

    /// The logs that this one may be.
    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        let current = Candidate {
            model: &self.model,
            vouched: self.vouched,
            unknown: &self.unknown,
        };
        let older = self.harm.older.iter().map(|saved| Candidate {
            model: &saved.model,
            vouched: saved.vouched,
            unknown: &[],
        });
        std::iter::once(current).chain(older)
    }

    /// Whether an entry is one that the log may hold, whatever stands around it.
    fn is_known(&self, found: &Entry) -> bool {
        let position = found.position();
        self.candidates().any(|candidate| {
            let kept = candidate.model.entries().get(position as usize - 1);
            let mut unknown = candidate.unknown.iter().flatten();
            // What was accepted as lost may show again where the decision is not read yet.
            let fits = |kept| matches!(kept, &Entry::Lost(_)) || is_same(found, kept);
            kept.is_some_and(fits)
                || unknown.any(|event| {
                    event.position == position && is_same(found, &Entry::Event(event.clone()))
                })
        })
    }

    /// The log takes appends: nothing may be missing but what the faults allow.
    fn opened(&mut self, engine: Engine, before: &Before, is_disturbed: bool) {
        self.report.openings += 1;
        let may_be = self.harm.is_any() || self.has_accepted;
        let (entries, unreadable) = whole_log(&engine, may_be);
        self.report.reads += entries.len() as u64;
        if unreadable > 0 {
            return self.opened_with_damage(engine, &entries, unreadable);
        }
        let cut_files = self.cut_files_now();
        let has_cut = cut_files.len() > self.cut_files.len();
        self.check_cut(&engine, before, &cut_files);
        let decided = self.harm.decided.clone();
        let log_id = engine.store.log_id();
        let found = match self.harm.is_any() {
            false => self.match_strictly(&entries),
            true => self.match_harmed(&entries, has_cut, log_id),
        };
        let head = found.durable();
        self.note(|| {
            let facts = engine.store.shared().visible.index().facts();
            let holes = &facts.holes;
            format!("opened: {head} events; moved aside: {has_cut}; incomplete: {holes:?}")
        });
        self.check_evidence(&entries, !decided.losses.is_empty());
        let previous_id = std::mem::replace(&mut self.log_id, log_id);
        // A fork frame may be among what was lost.
        let may_differ = decided.losses.contains(&log_id)
            || self.has_accepted && self.harm.is_any()
            || has_cut && self.harm.is_sector_harmed
            || !self.harm.older.is_empty();
        assert!(
            log_id == previous_id || may_differ,
            "the log has another id"
        );
        self.check_dates(&entries);
        self.check_epoch(&engine);
        self.model = found;
        self.unknown.clear();
        self.cut_files = cut_files;
        if !self.disk.has_room_limit() {
            self.vouched = head;
        } else {
            self.vouched = self.vouched.min(head);
        }
        self.take_restore_up(&engine);
        self.clear_harm(is_disturbed);
        self.disk.set_powersafe(true);
        self.engine = Some(engine);
    }

    /// The log takes appends, since its index is whole, but some of it cannot be read: that is
    /// told to whoever reads it. What can be read must be true.
    fn opened_with_damage(&mut self, engine: Engine, entries: &[Entry], unreadable: usize) {
        self.note(|| format!("opened, but {unreadable} events cannot be read"));
        let is_known = |entry: &Entry| matches!(entry, Entry::Lost(_)) || self.is_known(entry);
        let stranger = entries.iter().find(|entry| !is_known(entry));
        assert!(stranger.is_none(), "the log never held {stranger:?}");
        drop(engine);
        if self.has_accepted {
            // A run that covers accepted damage cannot be mended from the log.
            return match self.harm.is_any() {
                true => self.decide(),
                false => self.remove_index(),
            };
        }
        let damage = verify_on(&self.disk, FOLDER).map(|report| report.damage.len());
        assert!(
            !matches!(damage, Ok(0)),
            "the log has no damage, but {unreadable} of its events cannot be read"
        );
        self.decide();
    }

    /// A run that covers accepted damage cannot be mended from the log: the operator has the
    /// index made again.
    pub(super) fn remove_index(&mut self) {
        let is_of_index = |path: &PathBuf| path.to_string_lossy().contains("/index/");
        let paths: Vec<PathBuf> = self.disk.paths().into_iter().filter(is_of_index).collect();
        self.note(|| "the index is removed, to be made again".to_owned());
        paths.iter().for_each(|path| self.disk.lose(path));
    }

    /// What was done to the disk is over where nothing of it is left in the log; else reading
    /// may meet it at any time. A run that could not be opened may tell of another history the
    /// next time, and an unreadable sector that was accepted stays one.
    fn clear_harm(&mut self, is_disturbed: bool) {
        if !self.harm.is_any() {
            return self.harm.is_over();
        }
        let report = verify_on(&self.disk, FOLDER);
        self.note(|| format!("verified: {report:?}"));
        let is_clean =
            report.is_ok_and(|report| report.damage.is_empty() && report.lost_tail.is_none());
        let may_surface = is_disturbed || self.harm.is_sector_unreadable && self.has_accepted;
        match is_clean && !may_surface {
            true => {
                self.mend_reads();
                self.harm.is_over();
            }
            false => self.harm.stays(),
        }
    }

    /// The log must be what it was, and may go on with calls whose outcome was unknown.
    fn match_strictly(&self, entries: &[Entry]) -> Model {
        let kept = self.model.entries();
        for (nth, kept) in kept.iter().enumerate() {
            let found = entries.get(nth);
            assert!(
                found.is_some_and(|found| is_same(found, kept)),
                "what was acknowledged or seen is lost: {kept:?} is now {found:?}"
            );
        }
        let rest = &entries[kept.len()..];
        assert!(
            goes_on_with(rest, &self.unknown, false),
            "something is in the log that was never appended, or not there: {:?}, unknown were {:?}",
            rest.iter().map(Entry::position).collect::<Vec<_>>(),
            self.unknown
                .iter()
                .map(|call| call.iter().map(|e| e.position).collect::<Vec<_>>())
                .collect::<Vec<_>>(),
        );
        Model::of(entries.to_vec())
    }

    /// The log may be shorter, or another one, as far as the faults explain it.
    fn match_harmed(&self, entries: &[Entry], has_cut: bool, log_id: LogId) -> Model {
        let decided = &self.harm.decided;
        let is_forked = decided.losses.contains(&log_id);
        let mut reasons = Vec::new();
        for candidate in self.candidates() {
            let kept = candidate.model.entries();
            let differs = entries.iter().zip(kept).position(|(found, kept)| {
                let is_lost = decided.damage && matches!(found, Entry::Lost(_));
                // The decision that it is lost may itself be lost.
                let was_lost = (is_forked || decided.damage) && matches!(kept, Entry::Lost(_));
                !is_lost && !was_lost && !is_same(found, kept)
            });
            if let Some(nth) = differs {
                reasons.push(format!(
                    "position {} differs: {:?} was {:?}",
                    nth + 1,
                    entries[nth],
                    kept[nth]
                ));
                continue;
            }
            let rest = entries.get(kept.len()..).unwrap_or_default();
            let rest_is_known = goes_on_with(rest, candidate.unknown, decided.damage)
                || decided.damage && rest.iter().all(|entry| matches!(entry, Entry::Lost(_)));
            if !rest_is_known {
                reasons.push("it goes on with what was never appended".to_owned());
                continue;
            }
            let must_reach = match is_forked || self.harm.is_nothing_left {
                true => 0,
                false => self.must_reach(&candidate, has_cut),
            };
            if (entries.len() as Position) < must_reach {
                reasons.push(format!(
                    "it ends at {}, and nothing says that it once went on to {must_reach}",
                    entries.len()
                ));
                continue;
            }
            return Model::of(entries.to_vec());
        }
        // Segments of several histories, where the operator accepted that they do not fit.
        let is_mixed = decided.damage && !self.harm.older.is_empty();
        let is_from_somewhere =
            |found: &Entry| matches!(found, Entry::Lost(_)) || self.is_known(found);
        assert!(
            is_mixed && entries.iter().all(is_from_somewhere),
            "damage is not reported: {reasons:?}"
        );
        Model::of(entries.to_vec())
    }

    /// A log that takes appends is not behind what was derived from it.
    fn check_evidence(&mut self, entries: &[Entry], is_accepted: bool) {
        let Some(evidence) = self.evidence else {
            return;
        };
        let place = (evidence.position as usize).checked_sub(1);
        let found = place.and_then(|place| entries.get(place));
        let fits = match found {
            None => false,
            Some(Entry::Event(event)) => event.metadata.event_id == evidence.event_id,
            Some(_) => true,
        };
        if is_accepted && !fits {
            // What was derived from the lost part is thrown away.
            self.evidence = None;
            return;
        }
        assert!(
            fits,
            "the log takes appends, but something was derived from position {} of it",
            evidence.position
        );
    }

    fn check_dates(&self, entries: &[Entry]) {
        let mut last = None;
        let latest = self.clock.latest();
        for entry in entries {
            let Entry::Event(event) = entry else { continue };
            let date = event.persisted_at;
            let is_in_order = last.is_none_or(|last| last <= date);
            let may_mix = self.has_accepted;
            assert!(
                is_in_order || may_mix,
                "dates run backwards at {}",
                event.position
            );
            assert!(
                date.as_micros() <= latest,
                "position {} is dated in the future",
                event.position
            );
            last = Some(date);
        }
    }

    /// No epoch is used twice.
    fn check_epoch(&mut self, engine: &Engine) {
        let Some(syncer) = engine.syncer() else {
            return;
        };
        let epoch = syncer.tail().epoch();
        if self.harm.is_any() {
            self.epoch = 0;
        }
        assert!(
            epoch > self.epoch,
            "epoch {epoch} is used again, after {}",
            self.epoch
        );
        if !self.disk.has_room_limit() {
            self.epoch = epoch;
        }
    }

    /// What was cut off the end of the log is in a file of its own, and stays there.
    fn check_cut(&self, engine: &Engine, before: &Before, now: &BTreeMap<PathBuf, Vec<u8>>) {
        if self.harm.is_any() {
            return;
        }
        for (path, content) in &self.cut_files {
            // An attempt that failed may have left a copy of its own that was not durable.
            let is_kept = now.values().any(|kept| kept == content);
            assert!(is_kept, "{} was moved aside and is gone", path.display());
        }
        let (Some((segment, content)), Some(syncer)) = (&before.segment, engine.syncer()) else {
            return;
        };
        let (newest, offset) = syncer.tail().place();
        // The mark of this opening stands behind what was kept.
        let mark = crate::log::frame::HEADER_BYTES as u64;
        // Of what cannot be read, zeros are moved.
        let is_readable = !self.has_accepted;
        if newest != *segment || self.disk.has_room_limit() || offset < mark || !is_readable {
            return;
        }
        let kept = (offset - mark) as usize;
        let removed = content.get(kept..).unwrap_or_default();
        let Some(last) = removed.iter().rposition(|byte| *byte != 0) else {
            return;
        };
        assert!(
            now.values().any(|file| *file == removed[..=last]),
            "{} bytes at the end of the log were not moved aside, but overwritten",
            last + 1
        );
    }

    fn cut_files_now(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = self
            .disk
            .paths()
            .into_iter()
            .filter(|path| is_cut_file(path));
        paths
            .filter_map(|path| Some((path.clone(), self.disk.content(path)?)))
            .collect()
    }

    fn take_restore_up(&mut self, engine: &Engine) {
        let is_busy = matches!(now(engine.store.check_writable()), Err(Error::Busy { .. }));
        if is_busy && self.restoring.is_none() && self.harm.is_any() {
            self.restoring = self.restored.take();
        }
        let Some(restoring) = &mut self.restoring else {
            return;
        };
        if restoring.taken_up(self.model.durable(), is_busy) {
            self.restoring = None;
        }
    }

    /// Reads the whole log of the open store and compares it.
    pub(super) fn compare_whole_log(&mut self) {
        let Some(engine) = &self.engine else { return };
        let may_fail = self.harm.may_rot() || self.has_accepted || self.disk.is_disturbed();
        if may_fail {
            return;
        }
        let (entries, _) = whole_log(engine, false);
        self.report.reads += entries.len() as u64;
        let kept = self.model.entries();
        assert_eq!(entries.len(), kept.len());
        for (found, kept) in entries.iter().zip(kept) {
            assert!(is_same(found, kept), "{found:?} was {kept:?}");
        }
    }
}

fn is_cut_file(path: &std::path::Path) -> bool {
    path.to_string_lossy().contains("/cut-")
}

/// Whether the rest of a log is made of whole calls, in their order, each at most once; where
/// damage was accepted, events of them may be lost.
fn goes_on_with(rest: &[Entry], unknown: &[Vec<RecordedEvent>], may_be_lost: bool) -> bool {
    let mut rest = rest;
    for call in unknown {
        if rest.is_empty() {
            return true;
        }
        let fits = rest.len() >= call.len()
            && rest.iter().zip(call).all(|(found, event)| {
                may_be_lost && matches!(found, Entry::Lost(_))
                    || is_same(found, &Entry::Event(event.clone()))
            });
        if fits {
            rest = &rest[call.len()..];
        }
    }
    rest.is_empty()
}

/// All entries of the log of an open store, and how many cannot be read where that `may_be`.
fn whole_log(engine: &Engine, may_be: bool) -> (Vec<Entry>, usize) {
    let head = engine.head();
    let mut unreadable = 0;
    let mut entries = Vec::new();
    let mut after = 0;
    loop {
        let page = now(engine.store.read_log(LogQuery {
            filter: retold_core::Filter {
                include_reserved: true,
                ..Default::default()
            },
            ..LogQuery::after(after).limit(PAGE_ENTRIES)
        }));
        let page = match page {
            Ok(page) => page,
            Err(Error::Corrupt { .. }) if may_be => {
                // The page before ended where this one begins.
                unreadable += 1;
                after += 1;
                match after < head {
                    true => continue,
                    false => break,
                }
            }
            Err(error) => panic!("a log that takes appends cannot be read: {error}"),
        };
        entries.extend(page.entries);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    for (entry, position) in entries.iter().zip(1..) {
        let is_next = entry.position() == position || unreadable > 0;
        assert!(is_next, "positions have a hole before {}", entry.position());
    }
    (entries, unreadable)
}
