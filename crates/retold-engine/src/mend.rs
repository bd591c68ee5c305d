//! Mends the index: what a run held that cannot be read any more is read from the log again.

use std::sync::{Arc, PoisonError, RwLock};

use retold_core::{Damage, Error, Position, StreamId};

use crate::index::{Anchor, Index, IndexEntry, KeyedEntry, Part, Run, RunNumber, Table};
use crate::opening;
use crate::state::{DAMAGE_ADVICE, Facts, Intake, LogState};
use crate::visible::Visible;

/// How often the log is read before it is believed to be damaged.
const LOOKS: usize = 2;

impl Visible {
    /// Puts what the log says in the place of a run. Does nothing where that was done already.
    ///
    /// Where the log itself is damaged there, nothing can be put in its place: from then on
    /// appends are refused.
    pub(crate) fn mend(&self, number: RunNumber) -> Result<(), Error> {
        let _one_at_a_time = self.mending.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.index();
        let Some(run) = index.run(number) else {
            return Ok(());
        };
        if let Some(error) = self.broken() {
            return Err(error);
        }
        tracing::warn!(run = run.name, "reading again what a run of the index held");
        let Some((facts, old)) = before(&index, &run) else {
            return Ok(());
        };
        let mut looks = 1;
        let parts = loop {
            match self.read_again(&index, facts.clone(), &old)? {
                Ok(parts) => break parts,
                // A read that failed once may go well the next time; appends must not be refused
                // for good because of it.
                Err(_) if looks < LOOKS => looks += 1,
                Err(error) => {
                    self.break_off(error.clone());
                    return Err(error);
                }
            }
        };
        let replaced: Vec<Part> = old.iter().cloned().map(Part::from).collect();
        if index.replace(&replaced, parts) {
            index.note_mended();
            old.iter().for_each(|run| index.remove(&run.name));
        }
        Ok(())
    }

    /// What the log says in the place of runs; the inner error says how it is damaged there.
    /// `facts` are what it says before them.
    fn read_again(
        &self,
        index: &Arc<Index>,
        facts: Facts,
        old: &[Arc<Run>],
    ) -> Result<Result<Vec<Part>, Error>, Error> {
        let (begin, end) = (old[0].header.begin, old[old.len() - 1].header.end);
        let files = opening::reopened(&self.segments());
        let mut state = LogState::after(Arc::new(facts));
        let mut refill = Refill {
            table: Table::new(begin),
            index: Arc::clone(index),
            parts: Vec::new(),
            end,
        };
        let fits = opening::read_between(&files, &begin, &end, &mut state, &mut refill)?;
        // It may have been accepted later.
        let accepted = index.facts();
        if let Some(damage) = state.damage.iter().find(|it| !accepted.is_accepted(it)) {
            return Ok(Err(damage.to_error()));
        }
        if !fits {
            let damage = Damage {
                position: Some(old[0].first()),
                place: Some(format!("index/{}", old[0].name)),
                reason: "a run is damaged, and the log does not lead through what it held".into(),
                ..Damage::default()
            };
            return Ok(Err(Error::corrupt(damage, DAMAGE_ADVICE)));
        }
        Ok(Ok(refill.parts))
    }
}

/// The runs that are to be read again, in order, with what the log says before them: the runs
/// before the bad one come along as far as they do not tell that. None where it was replaced.
fn before(index: &Index, bad: &Arc<Run>) -> Option<(Facts, Vec<Arc<Run>>)> {
    let parts = index.parts();
    let is_bad = |part: &Part| matches!(part, Part::Run(run, _) if Arc::ptr_eq(run, bad));
    let at = parts.iter().position(is_bad)?;
    let mut old = vec![Arc::clone(bad)];
    let mut facts = None;
    for part in parts[..at].iter().rev() {
        facts = match part {
            Part::Table(table) => {
                let table = table.read().unwrap_or_else(PoisonError::into_inner);
                table.sealed.as_ref().map(|(_, facts)| (**facts).clone())
            }
            Part::Run(run, _) => {
                let facts = run.facts().ok();
                if facts.is_none() {
                    old.insert(0, Arc::clone(run));
                }
                facts
            }
        };
        if facts.is_some() {
            break;
        }
    }
    let mut facts = facts.unwrap_or_else(|| Facts::new(index.log_id));
    // Which streams miss an event is found when the log is opened.
    facts.holes.clone_from(&index.facts().holes);
    Some((facts, old))
}

/// Fills tables with a stretch of the log, and makes runs of them where that is possible.
struct Refill {
    index: Arc<Index>,
    table: Table,
    parts: Vec<Part>,
    end: Anchor,
}

impl Intake for Refill {
    fn events(&mut self, events: &[IndexEntry], _has_losses: bool) -> Vec<(StreamId, u64)> {
        let lost = &self.index.facts().lost;
        for event in events
            .iter()
            .filter(|event| !lost.contains_key(&event.position))
        {
            // Incomplete streams are known since the log was opened.
            self.table
                .insert(&KeyedEntry::new(event, &self.index.keys()));
        }
        if let Some(last) = events.last() {
            self.table.pass_over(last.position);
        }
        Vec::new()
    }

    fn pass_over(&mut self, through: Position) {
        self.table.pass_over(through);
    }

    fn reach(&mut self, end: &Anchor, facts: &Arc<Facts>, _is_whole: bool) {
        let is_full = self.table.len() >= self.index.settings().memory_events;
        if self.table.len() == 0 || !is_full && *end != self.end {
            return;
        }
        let mut table = std::mem::replace(&mut self.table, Table::new(*end));
        table.sealed = Some((*end, Arc::clone(facts)));
        let table = RwLock::new(table);
        let part = match self.index.flush(&table, true) {
            Ok(run) => run.into(),
            // It stays in memory; a merger tries again.
            Err(_) => Part::Table(Arc::new(table)),
        };
        self.parts.push(part);
    }
}
