//! One event and what it changed: the state with the difference to the one before, who, why,
//! when, what caused it, and the payload.

use maud::{Markup, html};
use retold::{RecordedEvent, Timestamp};

use super::reading::Reading;
use crate::console::standing::{Standing, Told};
use crate::console::text::Shown;
use crate::console::{address, layout, text};

pub(super) fn article(reading: &Reading) -> Markup {
    let event = &reading.event;
    let told = Told::by(event);
    html! {
        article #moment aria-labelledby="moment-title" {
            @if reading.available.is_some() {
                p.eyebrow { bdi { (event.event_type) } }
                h2.change #moment-title { (headline(reading, &told)) }
            } @else {
                h2.change #moment-title { bdi { (event.event_type) } }
            }
            (account(reading, &told))
            div {
                h3 #state-title { "State" }
                (difference(reading))
            }
            div {
                h3 #payload-title { "Payload" }
                (payload(event, &text::laid_out(&event.payload)))
            }
            (further(event))
        }
    }
}

/// The change, or that there was none.
fn headline(reading: &Reading, told: &Told) -> Markup {
    let after = reading.after.status.as_deref().unwrap_or_default();
    // The first transition leads out of the initial state, though nothing was there before it.
    let before = reading.before.status.as_deref().or(told.from.as_deref());
    html! {
        @if before == Some(after) {
            span.status-name { bdi { (after) } }
            span.same { " stays" }
        } @else {
            @if let Some(before) = before {
                span.left { bdi { (before) } }
                span.arrow aria-hidden="true" { " → " }
                span.hidden { " to " }
            }
            span.status-name { bdi { (after) } }
        }
    }
}

/// Who, why, when, and what caused it.
fn account(reading: &Reading, told: &Told) -> Markup {
    let metadata = &reading.event.metadata;
    html! {
        dl.account {
            dt { "Who" }
            dd {
                @match &metadata.actor {
                    Some(actor) => bdi { (actor) },
                    None => span.none { "not recorded" },
                }
            }
            dt { "Why" }
            dd {
                @match &told.reason {
                    Some(reason) => span.reason { bdi { (reason) } },
                    None => span.none { "no reason given" },
                }
            }
            dt { "When" }
            dd { (layout::time(metadata.timestamp)) }
            dt { "Caused by" }
            dd { (cause(reading)) }
            dt { "Belongs to" }
            dd { a href=(address::correlation(&metadata.correlation_id)) { bdi { (metadata.correlation_id) } } }
        }
    }
}

fn cause(reading: &Reading) -> Markup {
    html! {
        @match (&reading.cause, &reading.event.metadata.causation_id) {
            (Some(cause), _) => {
                a href=(address::moment(&cause.stream, cause.sequence_number)) {
                    bdi { (cause.event_type) } ", event " (cause.sequence_number)
                    " of " bdi { (cause.stream.to_string()) }
                }
            },
            (None, Some(causation_id)) => bdi { (causation_id) },
            (None, None) => span.none { "not recorded" },
        }
    }
}

/// Every part of the state, and what it was before where that differs.
fn difference(reading: &Reading) -> Markup {
    let (before, after) = (&reading.before, &reading.after);
    let status = |standing: &Standing| standing.status.clone();
    let instant = |at: Option<Timestamp>| at.map(text::to_the_second);
    let number = |number: u64| Some(text::grouped(number)).filter(|_| number > 0);
    // Without a machine, all that can be said of a state is what happened last.
    let (named, counted) = match reading.available {
        Some(_) => ("Status", "Transitions"),
        None => ("Last event", "Events"),
    };
    html! {
        dl.state {
            (part(named, status(before), status(after)))
            (part(counted, number(before.transition_count), number(after.transition_count)))
            (part("Last change", instant(before.last_transition_at), instant(after.last_transition_at)))
            (place("Sequence", before.sequence_number, after.sequence_number))
            (place("Position", before.position, after.position))
        }
    }
}

fn part(name: &str, before: Option<String>, after: Option<String>) -> Markup {
    let is_changed = before != after;
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".into());
    html! {
        div.changed[is_changed] {
            dt { (name) }
            dd {
                span.value { bdi { (or_none(after)) } }
                @if is_changed { span.was { "was " bdi { (or_none(before)) } } }
            }
        }
    }
}

/// What differs with every event, and is therefore not marked.
fn place(name: &str, before: u64, after: u64) -> Markup {
    html! {
        div {
            dt { (name) }
            dd {
                span.value { (text::grouped(after)) }
                @if before > 0 { span.was { "was " (text::grouped(before)) } }
            }
        }
    }
}

fn payload(event: &RecordedEvent, shown: &Shown) -> Markup {
    html! {
        pre.payload tabindex="0" role="region" aria-labelledby="payload-title" { (shown.text) }
        @if shown.is_cut {
            p.aside {
                "Cut off after " (text::grouped(text::PAYLOAD_SHOWN_BYTES_MAX as u64)) " bytes. "
                a href=(address::event_json(event.metadata.event_id)) { "See all of it" } "."
            }
        }
    }
}

/// What few ask for.
fn further(event: &RecordedEvent) -> Markup {
    let metadata = &event.metadata;
    html! {
        details {
            summary { "Further details" }
            dl.account {
                dt { "Event id" }
                dd { a href=(address::event_json(metadata.event_id)) { (metadata.event_id) } }
                dt { "Dated" } dd { (metadata.timestamp) }
                dt { "Recorded" } dd { (event.persisted_at) }
                dt { "Version" } dd { bdi { (metadata.version) } }
                @if !event.tags.is_empty() {
                    dt { "Tags" }
                    dd { @for tag in &event.tags { span.tag { bdi { (tag) } } " " } }
                }
                @for (key, value) in &metadata.extra {
                    dt { bdi { (key) } }
                    dd { code { (value) } }
                }
            }
        }
    }
}
