//! Faults that may lose what was safe: bits that flip, files that vanish or turn into older
//! copies, disks that lie. Each must be reported, or have changed nothing.

use std::path::{Path, PathBuf};

use retold_core::{LogId, Position, RecordedEvent};

use super::model::Model;
use super::world::World;
use crate::disk::sim::{Image, SimDisk};

/// Images that are kept to be put back.
const IMAGES_MAX: usize = 3;

/// What was done to the disk since the log was last found whole.
#[derive(Default)]
pub(super) struct Harm {
    /// Bits that were flipped, or sectors that cannot be read.
    pub(super) spots: u64,
    /// One of them is a sector.
    pub(super) is_sector_unreadable: bool,
    /// A file vanished.
    pub(super) is_missing: bool,
    /// No file is left that would tell of a log.
    pub(super) is_nothing_left: bool,
    /// An older copy was put back: of which models the log may now be.
    pub(super) older: Vec<Saved>,
    /// All files were replaced together.
    pub(super) is_replaced_whole: bool,
    /// A sync lied; what it lost may still be in the cache.
    pub(super) has_lied: bool,
    /// How often one was to.
    lies: u64,
    /// The power was cut since.
    is_lie_out: bool,
    /// A sector was harmed outside of what was being written.
    pub(super) is_sector_harmed: bool,
    /// It happened while a store was open: what is read may fail at any time.
    is_open: bool,
    /// The disk as it was before, to be put back as from a backup.
    pub(super) backup: Option<Image>,
    /// What the operator has decided.
    pub(super) decided: Decided,
    /// Copies of the folder from other times.
    images: Vec<(Image, Saved)>,
}

/// A log as it once was.
#[derive(Clone)]
pub(super) struct Saved {
    pub(super) model: Model,
    pub(super) vouched: Position,
}

/// Decisions that may have become a part of the log.
#[derive(Default, Clone)]
pub(super) struct Decided {
    pub(super) damage: bool,
    /// The loss, with the ids that the log may have from then on: one for each attempt.
    pub(super) losses: Vec<LogId>,
}

impl Harm {
    pub(super) fn is_any(&self) -> bool {
        self.spots > 0
            || self.is_missing
            || !self.older.is_empty()
            || self.has_lied
            || self.is_sector_harmed
    }

    /// Whether reading from an open store may fail.
    pub(super) fn may_rot(&self) -> bool {
        self.is_open || self.has_lied || self.is_any()
    }

    /// Whether it is nothing but one flipped bit.
    pub(super) fn is_one_bit(&self) -> bool {
        self.spots == 1
            && !self.is_sector_unreadable
            && !self.is_missing
            && self.older.is_empty()
            && !self.has_lied
            && !self.is_sector_harmed
    }

    pub(super) fn power_was_cut(&mut self, has_harmed: bool) {
        self.is_lie_out |= self.has_lied;
        self.is_sector_harmed |= has_harmed;
    }

    /// Looks whether a sync has lied by now.
    pub(super) fn note_lie(&mut self, disk: &SimDisk) {
        self.has_lied |= disk.has_lied();
    }

    /// What was accepted as lost is not to come back from an older copy.
    pub(super) fn forget_images(&mut self) {
        self.images.clear();
    }

    /// Some of it is still there while the store is open; what was decided is settled.
    pub(super) fn stays(&mut self) {
        self.is_open = true;
        self.backup = None;
        self.older.clear();
        self.decided = Decided::default();
        self.is_missing |= self.spots == 0;
    }

    /// A backup was put back.
    pub(super) fn is_mended(&mut self) {
        self.is_over();
    }

    /// The log was found whole, or is as whole as the operator wants it.
    pub(super) fn is_over(&mut self) {
        let images = std::mem::take(&mut self.images);
        *self = Harm {
            has_lied: self.has_lied && !self.is_lie_out,
            lies: if self.is_lie_out { 0 } else { self.lies },
            images,
            ..Harm::default()
        };
    }
}

impl World {
    /// Keeps a copy of the folder, to be put back some time.
    pub(super) fn take_image(&mut self) {
        let is_quiet = self
            .engine
            .as_ref()
            .is_some_and(|engine| !engine.is_poisoned());
        if self.is_lossy && is_quiet && !self.harm.is_any() && self.restoring.is_none() {
            self.keep_image();
        }
    }

    fn keep_image(&mut self) {
        let mut model = self.model.clone();
        model.take_behind(model.durable());
        let saved = Saved {
            model,
            vouched: self.vouched,
        };
        if self.harm.images.len() == IMAGES_MAX {
            self.harm.images.swap_remove(self.dice.index(IMAGES_MAX));
        }
        self.harm.images.push((self.disk.image(), saved));
    }

    /// What goes wrong while a store is open.
    pub(super) fn harm_while_open(&mut self) {
        if !self.is_lossy || self.restoring.is_some() {
            return;
        }
        match self.dice.below(5) {
            0 => {
                if let Some(path) = self.flip_a_bit() {
                    self.harm.is_open = true;
                    self.note(|| format!("a bit flips in {}", path.display()));
                }
            }
            1 => {
                self.harm.is_open |= self.spoil_a_sector();
            }
            2 | 3 => {
                self.note(|| "the next sync will lie".to_owned());
                self.disk.lie_at_sync();
                // From here on it may have; the cache hides it for a while.
                self.harm.has_lied = true;
                self.harm.is_lie_out = false;
                self.harm.lies += 1;
            }
            _ => {
                self.note(|| "sectors are not safe from now on".to_owned());
                self.disk.set_powersafe(false);
            }
        }
    }

    /// What goes wrong while nobody has the store open.
    pub(super) fn harm_at_rest(&mut self) {
        if !self.is_lossy || self.restoring.is_some() || !self.dice.percent(45) {
            return;
        }
        let was_harmed = self.harm.is_any();
        let before = self.disk.image();
        match self.dice.below(10) {
            0..4 => {
                if let Some(path) = self.flip_a_bit() {
                    self.note(|| format!("a bit flips in {}", path.display()));
                }
            }
            4 | 5 => {
                if let Some(path) = self.pick_file() {
                    self.note(|| format!("{} is lost", path.display()));
                    self.disk.lose(&path);
                    self.cut_files.remove(&path);
                    self.harm.is_missing = true;
                }
            }
            6 => {
                self.spoil_a_sector();
            }
            _ => self.put_an_older_copy_back(),
        }
        self.harm.backup = (!was_harmed && self.harm.is_any()).then_some(before);
    }

    /// Lets a part of a file be unreadable; false where there is none.
    fn spoil_a_sector(&mut self) -> bool {
        let path = self.pick_file();
        let length = path.as_ref().and_then(|path| self.disk.content(path));
        let (Some(path), Some(content)) = (path, length) else {
            return false;
        };
        let from = self.dice.below(content.len() as u64 + 1);
        if from == content.len() as u64 {
            return false;
        }
        self.note(|| format!("a sector of {} turns bad, at {from}", path.display()));
        self.disk.fail_reads(&path, from..from + 64);
        self.harm.spots += 1;
        self.harm.is_sector_unreadable = true;
        true
    }

    fn put_an_older_copy_back(&mut self) {
        if self.harm.images.is_empty() {
            return;
        }
        let at = self.dice.index(self.harm.images.len());
        let (image, saved) = self.harm.images[at].clone();
        // Files are copied once the machine was started again: what was only in its memory
        // is gone.
        self.disk.cut_power(self.dice.next());
        self.following = None;
        if self.dice.percent(40) {
            if self.unknown.is_empty() {
                // What the log was before may come back file by file.
                self.keep_image();
            }
            let removes_newer = self.dice.flip();
            self.note(|| {
                format!(
                    "an older copy of the folder is put back, up to {}; newer files are removed: {removes_newer}",
                    saved.model.durable()
                )
            });
            if self.dice.flip() {
                self.caller.send_again(&self.model, saved.model.durable());
            }
            self.disk.put_back(&image, removes_newer);
            self.harm.is_replaced_whole = removes_newer;
            self.cut_files.clear();
        } else {
            // A copy that differs, of the log or of the index if there is one.
            let differs = |path: &&Path| self.disk.content(path) != image.content(path);
            let mut paths: Vec<PathBuf> =
                image.paths().filter(differs).map(PathBuf::from).collect();
            let folder = if self.dice.percent(70) {
                "/log/"
            } else {
                "/index/"
            };
            let is_within = |path: &PathBuf| path.to_string_lossy().contains(folder);
            if paths.iter().any(is_within) {
                paths.retain(is_within);
            }
            if paths.is_empty() {
                return;
            }
            let path = self.dice.pick(&paths).clone();
            self.note(|| format!("an older copy of {} is put back", path.display()));
            self.disk.put_back_file(&image, &path);
            self.cut_files.remove(&path);
        }
        self.harm.older.push(saved);
    }

    /// A file that matters: mostly a segment.
    fn pick_file(&mut self) -> Option<PathBuf> {
        let paths = self.disk.paths();
        let matters = |path: &&PathBuf| {
            let path = path.to_string_lossy();
            !path.contains("/cut-") && !path.contains("/index/")
        };
        let paths: Vec<&PathBuf> = paths.iter().filter(matters).collect();
        match paths.is_empty() {
            true => None,
            false => Some((*self.dice.pick(&paths)).clone()),
        }
    }

    fn flip_a_bit(&mut self) -> Option<PathBuf> {
        let path = self.pick_file()?;
        self.flip_a_bit_of(&path).then(|| {
            self.harm.spots += 1;
            path
        })
    }

    fn flip_a_bit_of(&mut self, path: &Path) -> bool {
        self.try_to_flip(path).unwrap_or(false)
    }

    fn try_to_flip(&mut self, path: &Path) -> Option<bool> {
        let content = self.disk.content(path)?;
        // Zeros at the end are room that was reserved; a bit there is flipped now and then.
        let end = content.iter().rposition(|byte| *byte != 0)? as u64 + 16;
        let bit = self.dice.below(end * 8);
        self.note(|| format!("bit {} of byte {} flips", bit % 8, bit / 8));
        Some(self.disk.flip_bit(path, bit))
    }

    /// What goes wrong with the files of the index: it may change no answer, ever.
    pub(super) fn harm_index(&mut self) {
        let is_of_index = |path: &PathBuf| path.to_string_lossy().contains("/index/");
        let paths: Vec<PathBuf> = self.disk.paths().into_iter().filter(is_of_index).collect();
        if paths.is_empty() {
            return;
        }
        let path = self.dice.pick(&paths).clone();
        match self.dice.below(6) {
            0 | 1 => {
                self.note(|| format!("a bit flips in {}", path.display()));
                self.flip_a_bit_of(&path);
            }
            2 => {
                self.note(|| format!("{} is lost", path.display()));
                self.disk.lose(&path);
            }
            3 => {
                self.note(|| format!("{} is cut short", path.display()));
                let mut content = self.disk.content(&path).unwrap_or_default();
                content.truncate(self.dice.index(content.len() + 1));
                self.disk.tamper(&path, content);
            }
            4 => {
                self.note(|| format!("a sector of {} turns bad", path.display()));
                let from = self.dice.below(3_000);
                self.disk.fail_reads(&path, from..from + 64);
            }
            _ if self.is_lossy => {}
            _ => {
                if let Some(image) = &self.index_image {
                    self.note(|| format!("an older copy of {} is put back", path.display()));
                    self.disk.put_back_file(image, &path);
                }
                self.index_image = Some(self.disk.image());
            }
        }
    }

    /// Faults that could have shortened the log: how many events may be missing at its end
    /// without a report, as the first position that must be there.
    pub(super) fn must_reach(&self, candidate: &Candidate<'_>, has_cut: bool) -> Position {
        let harm = &self.harm;
        let evidence = self.evidence.map_or(0, |evidence| evidence.position);
        // Where a sector was accepted as unreadable, another one may hide behind it.
        let is_hidden = harm.is_sector_unreadable && self.has_accepted;
        let is_guess = harm.spots > 1 || harm.is_sector_harmed || harm.is_missing;
        let is_spot = harm.spots > 0 || harm.is_missing;
        // A copy of another time is a log of its own: only what was derived from it shows it.
        if !harm.older.is_empty() {
            return evidence;
        }
        // One lie may lose a frame, the next one, or other harm, what would have vouched for it.
        let is_other_harm = is_spot || harm.is_sector_harmed;
        let may_lie_twice = harm.lies > 1 || harm.has_lied && is_other_harm;
        if is_guess && has_cut || is_hidden || may_lie_twice {
            return evidence;
        }
        // What a sector that was harmed held may be gone without leaving anything to cut.
        if is_spot && has_cut || harm.has_lied || harm.is_sector_harmed {
            return candidate
                .vouched
                .max(evidence)
                .min(candidate.model.durable());
        }
        candidate.model.durable()
    }
}

/// A log that this one may be.
pub(super) struct Candidate<'a> {
    pub(super) model: &'a Model,
    pub(super) vouched: Position,
    /// Calls that may follow.
    pub(super) unknown: &'a [Vec<RecordedEvent>],
}
