//! What a difference between the file and the code means, and what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{Locked, Name, heading};
use crate::EventShape;
use crate::shapes::Shape;
use crate::upcasters::Chains;

/// What is wrong, and what the file is to hold if nothing is.
pub(super) struct Judgement {
    pub(super) findings: Vec<String>,
    pub(super) locked: Locked,
}

/// Looks at each version of each event type that the file or the code knows.
pub(super) fn judge(
    locked: &Locked,
    shapes: &[EventShape],
    upcasters: &Chains,
    is_update: bool,
) -> Judgement {
    let mut findings = Vec::new();
    let mut known = Locked::new();
    for shape in shapes {
        let name = (shape.aggregate_type.clone(), shape.event.clone());
        let first = known.get(&name).filter(|first| **first != shape.shape);
        if let Some(first) = first {
            findings.push(format!(
                "{} is given twice, with two shapes; give one of them another version:\n{}",
                heading(&name),
                differences(first, &shape.shape)
            ));
        }
        known.insert(name, shape.shape.clone());
    }
    let names: BTreeSet<&Name> = locked.keys().chain(known.keys()).collect();
    let mut by_type: BTreeMap<_, Vec<&Name>> = BTreeMap::new();
    for name in names {
        let event_type = (&name.0, &name.1.event_type);
        by_type.entry(event_type).or_default().push(name);
    }
    for names in by_type.values() {
        let judged = OfType {
            names,
            locked,
            known: &known,
            upcasters,
            is_update,
        };
        judged.judge(&mut findings);
    }
    let mut merged = locked.clone();
    merged.extend(known);
    Judgement {
        findings,
        locked: merged,
    }
}

/// The versions of one event type.
struct OfType<'a> {
    names: &'a [&'a Name],
    locked: &'a Locked,
    known: &'a Locked,
    upcasters: &'a Chains,
    is_update: bool,
}

impl OfType<'_> {
    fn judge(&self, findings: &mut Vec<String>) {
        // Today's version is the one that nothing takes further; every other one has an upcaster.
        let ends: Vec<&Name> = self
            .names
            .iter()
            .copied()
            .filter(|n| !self.has_upcaster(n))
            .collect();
        let is_new = |name: &&&Name| !self.locked.contains_key(**name);
        let is_in_code = |name: &&&Name| self.known.contains_key(**name);
        let today = ends
            .iter()
            .find(is_new)
            .or_else(|| ends.iter().rev().find(is_in_code))
            .copied();
        let mut has_gap = false;
        for end in ends.iter().filter(|end| Some(**end) != today) {
            has_gap = true;
            findings.push(match today {
                Some(today) => missing_upcaster(end, today),
                None => removed(end),
            });
        }
        for name in self.names {
            match (self.locked.get(name), self.known.get(name)) {
                (Some(was), Some(is)) if was != is && !self.is_update => {
                    findings.push(changed(name, was, is));
                }
                // What to do about the gap comes first; the file is for when it is closed.
                (None, Some(_)) if !self.is_update && !has_gap => findings.push(new(name)),
                _ => {}
            }
        }
    }

    fn has_upcaster(&self, (aggregate_type, event): &Name) -> bool {
        self.upcasters.takes_further(aggregate_type.as_ref(), event)
    }
}

fn changed(name: &Name, was: &Shape, is: &Shape) -> String {
    let heading = heading(name);
    let version = &name.1.version;
    format!(
        "{heading} changed (- as it was written, + as it would be written now):\n{}\n\
         give it a new version and an upcaster {version} → that version; or, where no log holds \
         one, accept the change with UPDATE_EVENTS_LOCK=1",
        differences(was, is)
    )
}

fn missing_upcaster(from: &Name, today: &Name) -> String {
    format!(
        "{} has no upcaster to {}; add the upcaster of {} {} → {}; or, where no log holds one, \
         delete it from the file",
        heading(from),
        today.1.version,
        from.1.event_type,
        from.1.version,
        today.1.version
    )
}

fn removed(name: &Name) -> String {
    format!(
        "{} is gone, and a log may hold some; keep it, or add an upcaster that takes it further \
         (change, rename, split or discard); or, where no log holds one, delete it from the file",
        heading(name)
    )
}

fn new(name: &Name) -> String {
    format!(
        "{} is new; accept it with UPDATE_EVENTS_LOCK=1",
        heading(name)
    )
}

fn differences(was: &Shape, is: &Shape) -> String {
    let gone = was.lines.iter().filter(|line| !is.lines.contains(line));
    let new = is.lines.iter().filter(|line| !was.lines.contains(line));
    let gone = gone.map(|line| format!("  - {line}"));
    let lines: Vec<String> = gone.chain(new.map(|line| format!("  + {line}"))).collect();
    lines.join("\n")
}
