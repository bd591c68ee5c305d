//! The events around the one that is shown, the newest on top.

use maud::{Markup, html};
use retold::{Entry, RecordedEvent, SequenceNumber};

use super::reading::{NEIGHBOURS_MAX, Reading};
use crate::console::standing::Told;
use crate::console::{address, layout, text};

pub(super) fn section(reading: &Reading) -> Markup {
    // Positions of lost entries say nothing of their place, so the ends are taken from events.
    let mut places = reading.around.iter().filter_map(|entry| match entry {
        Entry::Event(event) => Some(event.sequence_number),
        Entry::Lost(_) => None,
    });
    let oldest = places.next().unwrap_or(1);
    let newest = places.last().unwrap_or(oldest);
    let newer = (newest < reading.head).then(|| (newest + NEIGHBOURS_MAX).min(reading.head));
    let older = (oldest > 1).then(|| oldest.saturating_sub(NEIGHBOURS_MAX).max(1));
    html! {
        section #timeline aria-labelledby="timeline-title" {
            h2 #timeline-title { "Events" }
            (more(reading, newer, "Newer events", reading.head - newest))
            ol.timeline reversed start=(newest) {
                @for entry in reading.around.iter().rev() {
                    @match entry {
                        Entry::Event(event) => (line(reading, event)),
                        Entry::Lost(lost) => li.lost { "The event at position " (lost.position) " was lost." },
                    }
                }
            }
            (more(reading, older, "Older events", oldest - 1))
        }
    }
}

fn more(reading: &Reading, to: Option<SequenceNumber>, label: &str, count: u64) -> Markup {
    html! {
        @if let Some(to) = to {
            p.more {
                a data-at=(to) href=(address::moment(&reading.stream, to)) { (label) }
                " " span.aside { (text::grouped(count)) " more" }
            }
        }
    }
}

fn line(reading: &Reading, event: &RecordedEvent) -> Markup {
    let at = event.sequence_number;
    let is_shown = at == reading.at();
    html! {
        li {
            a data-at=(at) href=(address::moment(&reading.stream, at))
                aria-current=[is_shown.then_some("step")] {
                span.seq { (text::grouped(at)) }
                span.what { bdi { (event.event_type) } }
                @if let Some(to) = Told::by(event).to { (layout::leads_to(&to)) }
                span.aside {
                    @if let Some(actor) = &event.metadata.actor { bdi { (actor) } " " }
                    (layout::time(event.metadata.timestamp))
                }
            }
        }
    }
}
