//! Where the stream stands now and what can be done about it, and the way through its events.
//! The elements with an id are those that the module exchanges when it moves.

use maud::{Markup, html};
use retold::{AvailableTransition, SequenceNumber, StreamId};

use super::reading::Reading;
use crate::console::{address, layout, text};

/// The state now, and the transitions that are allowed in it.
pub(super) fn now(reading: &Reading) -> Markup {
    html! {
        section.now #now aria-label="Now" {
            p.summary {
                @if let Some(status) = &reading.status_now {
                    "Now " (layout::status(status)) " after "
                }
                (layout::counted(reading.head, "event"))
            }
            @match reading.available.as_deref() {
                None => p.aside { "This type has no state machine, so there are no transitions to take." },
                Some([]) => p.aside { "No transition leads out of this state." },
                Some(available) => (transitions(reading, available)),
            }
        }
    }
}

fn transitions(reading: &Reading, available: &[AvailableTransition]) -> Markup {
    html! {
        ul.transitions aria-label="Transitions allowed now" {
            @for transition in available {
                li {
                    // Only the module can send one, so it is the module that enables them.
                    button.transition type="button" disabled data-event=(transition.event)
                        data-from=(reading.status_now.as_deref().unwrap_or_default())
                        data-to=(transition.to_state) {
                        span.name { (transition.event) }
                        (layout::leads_to(&transition.to_state))
                    }
                }
            }
        }
        noscript { p.aside { "Taking a transition needs JavaScript; reading does not." } }
    }
}

/// The slider, and the same way as links.
pub(super) fn slider(reading: &Reading) -> Markup {
    let (at, head) = (reading.at(), reading.head);
    html! {
        section.travel aria-label="Moments" {
            div #standing {
                p.place { "Event " strong { (text::grouped(at)) } " of " (text::grouped(head)) }
                p.when {
                    (layout::time(reading.event.metadata.timestamp))
                    @if reading.is_now() { " " span.mark { "latest" } }
                }
            }
            form #slider method="get" action=(address::stream(&reading.stream)) {
                label.hidden for="at" { "Event" }
                input #at type="range" name="at" min="1" max=(head) value=(at) step="1"
                    autocomplete="off" aria-valuetext=(spoken(reading)) disabled[head == 1];
                button.plain type="submit" { "Show" }
            }
            nav #steps aria-label="Steps" {
                (step(reading, "first", "First", "⇤", (at > 1).then_some(1)))
                (step(reading, "earlier", "Earlier", "←", (at > 1).then(|| at - 1)))
                (step(reading, "later", "Later", "→", (at < head).then(|| at + 1)))
                (step(reading, "latest", "Latest", "⇥", (at < head).then_some(head)))
            }
            p.hint { "Move with " kbd { "←" } " " kbd { "→" } ", to the ends with " kbd { "Home" } " " kbd { "End" } }
            p.hidden #told role="status" {}
        }
    }
}

/// What a screen reader says of the slider's place.
fn spoken(reading: &Reading) -> String {
    let event = &reading.event;
    let status = reading.after.status.as_deref().unwrap_or_default();
    let (at, head) = (event.sequence_number, reading.head);
    format!("Event {at} of {head}, {}, {status}", event.event_type)
}

fn step(
    reading: &Reading,
    name: &str,
    label: &str,
    sign: &str,
    to: Option<SequenceNumber>,
) -> Markup {
    let inside = html! { span.sign aria-hidden="true" { (sign) } " " (label) };
    html! {
        @match to {
            Some(to) => a #{ "step-" (name) } data-at=(to) href=(address::moment(&reading.stream, to)) { (inside) },
            None => span #{ "step-" (name) } role="link" aria-disabled="true" { (inside) },
        }
    }
}

/// Asks who takes a transition and why. Sent by the module, since only JSON is accepted.
pub(super) fn dialog(stream: &StreamId) -> Markup {
    html! {
        dialog #take aria-labelledby="take-title" data-address=(address::transitions(stream)) {
            form method="dialog" {
                h2 #take-title { "Transition" }
                p.change #take-change {}
                label for="actor" { "Who takes it" }
                input #actor name="actor" autocomplete="username" maxlength="512";
                label for="reason" { "Why" }
                textarea #reason name="reason" rows="3" {}
                div.problem #take-problem role="alert" hidden {}
                div.actions {
                    button.quiet type="button" #take-cancel { "Cancel" }
                    button.primary type="submit" #take-submit { "Record" }
                }
            }
        }
    }
}
