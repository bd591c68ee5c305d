//! What an operator does about a log that is refused: puts a backup back, or decides what to
//! accept. A process may die in the midst of a decision, too.

use std::sync::Arc;

use retold_core::Error;
use uuid::Uuid;

use super::engine::folder;
use super::model::Model;
use super::world::World;
use crate::disk::sim::SimDisk;
use crate::recover::recover_as;
use crate::{Options, Remedy, verify_on};

impl World {
    /// Does something about damage, so that the log may open.
    pub(super) fn decide(&mut self) {
        self.following = None;
        self.disk.heal();
        self.disk.set_room(None);
        let can_put_back = self.harm.backup.is_some() && !self.is_decided();
        if can_put_back && self.dice.percent(40) {
            return self.put_the_backup_back();
        }
        let report = verify_on(&self.disk, folder());
        let accepts_damage = match report {
            Ok(report) => !report.damage.is_empty(),
            Err(error) => {
                self.note(|| format!("not even verified: {error}"));
                return match can_put_back {
                    true => self.put_the_backup_back(),
                    false => self.begin_anew(),
                };
            }
        };
        // Damage that was accepted before may have been what shows where this one ends.
        let is_first = !self.has_accepted;
        let new_id = Uuid::from_u64_pair(self.dice.next(), self.dice.next());
        let remedy = match accepts_damage {
            true => Remedy::AcceptDamage,
            false => Remedy::AcceptLoss {
                reason: "the simulator says so".to_owned(),
                evidence: self.evidence.into_iter().collect(),
            },
        };
        let dies = self.dice.percent(25);
        if dies {
            self.disk
                .halt_at(self.disk.calls() + 1 + self.dice.below(16));
        }
        let options = Options {
            log_id: Some(new_id),
            ..self.options()
        };
        let disk = Arc::new(self.disk.clone());
        let outcome = recover_as(disk, folder(), remedy, &options);
        self.note(|| format!("accepts (damage: {accepts_damage}): {outcome:?}"));
        let has_died = self.disk.has_halted();
        match accepts_damage {
            true => {
                self.harm.decided.damage = true;
                self.has_accepted = true;
                self.harm.forget_images();
            }
            false => self.harm.decided.losses.push(new_id),
        }
        match &outcome {
            Ok(recovered) => {
                self.report.decisions += 1;
                if accepts_damage && is_first && self.harm.is_one_bit() {
                    let lost = recovered.accepted.iter().flat_map(|place| &place.lost);
                    let lost: u64 = lost.map(|(first, last)| last - first + 1).sum();
                    assert!(lost <= 1, "one bad bit lost {lost} events: {recovered:?}");
                }
            }
            Err(_) if has_died => {}
            Err(Error::Corrupt { .. }) => self.begin_anew(),
            // Reading failed because of the index, not of the log.
            Err(Error::NotFound { .. }) if self.has_accepted => self.remove_index(),
            Err(Error::NotFound { .. }) => {
                panic!("the log was refused, but nothing is wrong with it")
            }
            Err(error) => panic!("an operator cannot accept what is wrong: {error}"),
        }
        if has_died {
            match self.dice.flip() {
                true => self.cut_power(),
                false => self.disk.kill(),
            }
        }
        self.disk.heal();
    }

    /// Sectors can be read again, unless an operator has accepted what they lost: that it
    /// comes back is not simulated.
    pub(super) fn mend_reads(&mut self) {
        if !self.has_accepted {
            self.disk.mend_reads();
        }
    }

    fn is_decided(&self) -> bool {
        self.harm.decided.damage || !self.harm.decided.losses.is_empty()
    }

    fn put_the_backup_back(&mut self) {
        let Some(backup) = self.harm.backup.take() else {
            return;
        };
        self.note(|| "the backup is put back".to_owned());
        self.disk.restore_backup(&backup);
        self.mend_reads();
        self.harm.is_mended();
        self.report.backups += 1;
    }

    /// Nothing is left of the log that could be opened.
    fn begin_anew(&mut self) {
        self.note(|| "the log cannot be opened, and there is no backup: a new one".to_owned());
        self.disk.restore_backup(&Default::default());
        self.log_id = Uuid::from_u64_pair(self.dice.next(), self.dice.next());
        self.has_accepted = false;
        self.mend_reads();
        self.model = Model::default();
        self.restored = None;
        self.unknown.clear();
        self.evidence = None;
        self.vouched = 0;
        self.epoch = 0;
        self.cut_files.clear();
        self.harm = Default::default();
    }
}

impl World {
    /// A disk handle of another process.
    pub(super) fn another_process(&self) -> SimDisk {
        self.disk.for_another_process()
    }
}
