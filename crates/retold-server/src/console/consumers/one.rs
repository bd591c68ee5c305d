//! One consumer as HTML: where it is, what is decided about it, what is parked, what was sent.

use maud::{Markup, html};
use retold::consumer::{ConsumerStatus, ParkedEvent};
use serde_json::{Value, json};

use super::{behind, state};
use crate::console::{address, layout, text};
use crate::webhook::Sent;

/// Entries of a list that a page shows: what a person looks through. The command line and the
/// API have all.
const SHOWN_MAX: usize = 50;

pub(super) fn body(status: &ConsumerStatus, parked: &[ParkedEvent], sent: &[Sent]) -> Markup {
    let name = &*status.name;
    let (word, reason) = state(status);
    html! {
        nav.crumbs aria-label="Where this is" {
            ol { li { a href="/consumers" { "Consumers" } } }
        }
        (layout::name(name))
        div #live {
            p.summary {
                (layout::status(word)) " "
                @if let Some(reason) = reason { bdi { (reason) } }
            }
            dl.facts { @for (label, value) in facts(status) { div { dt { (label) } dd { (value) } } } }
            (decisions(status))
            (parked_events(name, parked))
            @if status.settings.webhook.is_some() { (deliveries(sent)) }
        }
        (dialog())
    }
}

fn facts(status: &ConsumerStatus) -> Vec<(&'static str, Markup)> {
    let number = |number: u64| html! { (text::grouped(number)) };
    let mut facts = vec![
        ("Complete through", number(status.position)),
        ("Behind", behind(status)),
        ("Acknowledged", number(status.acknowledged)),
        ("In flight", number(status.in_flight as u64)),
        ("Streams that wait", number(status.waiting_streams as u64)),
        ("Is given", html! { (given(status)) }),
    ];
    if let Some(webhook) = &status.settings.webhook {
        let url = webhook["url"].as_str().unwrap_or_default();
        facts.push(("Posts to", html! { bdi { (url) } }));
    }
    if let Some(error) = &status.last_error {
        facts.push(("Last error", html! { bdi { (error) } }));
    }
    facts
}

/// The filter in words.
fn given(status: &ConsumerStatus) -> String {
    let filter = &status.settings.filter;
    let mut parts = Vec::new();
    let mut add = |what: &str, texts: &[retold::Text]| {
        if !texts.is_empty() {
            let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
            parts.push(format!("{what} {}", texts.join(", ")));
        }
    };
    add("streams of type", &filter.aggregate_types);
    add("events", &filter.event_types);
    add("tagged", &filter.tags);
    add("of correlation", filter.correlation_id.as_slice());
    add("by", filter.actor.as_slice());
    match parts.is_empty() {
        true => "every event".to_owned(),
        false => parts.join("; "),
    }
}

/// A button that the module sends a request for.
struct Call<'a> {
    label: &'a str,
    /// What is done, for those who hear the buttons out of their place.
    full_label: String,
    address: String,
    body: Value,
    /// The question whose answer is the reason; none where none is needed.
    asks: Option<String>,
    /// What is said once it is done.
    told: String,
}

fn button(id: &str, call: &Call<'_>) -> Markup {
    html! {
        button.call id=(id) type="button" disabled
            data-address=(call.address) data-body=(call.body.to_string())
            data-asks=[call.asks.as_deref()] data-told=(call.told)
            aria-label=(call.full_label) { (call.label) }
    }
}

fn decisions(status: &ConsumerStatus) -> Markup {
    let name = &*status.name;
    let call = |label: &'static str, what: &str, asks: Option<String>, told: String| Call {
        label,
        full_label: format!("{label} {name}"),
        address: address::consumer_call(name, what),
        body: json!({}),
        asks,
        told,
    };
    html! {
        div.transitions {
            @if status.paused.is_some() {
                (button("resume", &call("Resume", "resume", None, format!("{name} goes on"))))
            } @else {
                (button("pause", &call("Pause…", "pause", Some(format!("Why does {name} pause?")), format!("{name} pauses"))))
            }
            @if status.settings.webhook.is_some() {
                (button("test", &call("Send a test", "webhook/test", None, "The test was sent".to_owned())))
            }
            button #audit .call type="button" disabled data-audit=(address::consumer_call(name, "audit"))
                aria-label=(format!("Audit {name}")) { "Audit" }
        }
    }
}

fn parked_events(name: &str, parked: &[ParkedEvent]) -> Markup {
    html! {
        section.group aria-labelledby="parked" {
            h2 #parked { "Parked" }
            @if parked.is_empty() { p.aside { "Nothing is parked." } }
            @else {
                p.aside { "What could not be digested. The rest of each stream waits for it." }
                @if parked.len() > 1 {
                    div.transitions {
                        (button("replay-all", &Call {
                            label: "Try all again",
                            full_label: "Try all again: everything that is parked".to_owned(),
                            address: address::consumer_call(name, "replay"),
                            body: json!({}),
                            asks: None,
                            told: "Everything is tried again".to_owned(),
                        }))
                    }
                }
                ul.parked {
                    @for (nth, event) in parked.iter().take(SHOWN_MAX).enumerate() { (parked_event(name, nth, event)) }
                }
                @if parked.len() > SHOWN_MAX {
                    p.aside { (layout::counted((parked.len() - SHOWN_MAX) as u64, "further stream")) " not shown." }
                }
            }
        }
    }
}

fn parked_event(name: &str, nth: usize, event: &ParkedEvent) -> Markup {
    let stream = &event.stream;
    let of_stream = json!({
        "aggregateType": &**stream.aggregate_type(),
        "aggregateId": &**stream.aggregate_id(),
    });
    let call = |label: &'static str, what: &str, asks: Option<String>, told: &str| Call {
        label,
        full_label: format!("{label} event {} of {stream}", event.sequence_number),
        address: address::consumer_call(name, what),
        body: of_stream.clone(),
        asks,
        told: told.to_owned(),
    };
    let asks = "Why is the event passed over?".to_owned();
    html! {
        li {
            a.id href=(address::moment(stream, event.sequence_number)) {
                bdi { (stream.aggregate_type()) " " (stream.aggregate_id()) }
            }
            p.error { bdi { (event.error) } }
            p.aside {
                "Event " (event.sequence_number) ", tried "
                (layout::counted(u64::from(event.attempts), "time")) ", last "
                (layout::time(event.failed_at))
            }
            div.transitions {
                (button(&format!("replay-{nth}"), &call("Try again", "replay", None, "It is tried again")))
                (button(&format!("skip-{nth}"), &call("Pass over…", "skip", Some(asks), "It is passed over")))
            }
        }
    }
}

fn deliveries(sent: &[Sent]) -> Markup {
    html! {
        section.group aria-labelledby="sent" {
            h2 #sent { "Sent" }
            @if sent.is_empty() { p.aside { "Nothing since the service was started." } }
            @else {
                ul.streams {
                    @for attempt in sent.iter().take(SHOWN_MAX) {
                        li {
                            span.id {
                                @if attempt.is_test { "Test" }
                                @else { a href=(address::event(attempt.event_id)) { "Position " (text::grouped(attempt.position)) } }
                            }
                            span.standing {
                                @match attempt.status {
                                    Some(status) => (layout::status(&status.to_string())),
                                    None => (layout::status("no answer")),
                                }
                            }
                            span.count { (text::grouped(attempt.latency_ms)) " ms" }
                            span.aside {
                                "Attempt " (attempt.attempt)
                                @if let Some(error) = &attempt.error { ": " bdi { (error) } }
                            }
                            span.when { (layout::time(attempt.sent_at)) }
                        }
                    }
                }
            }
        }
    }
}

/// Asks for a reason, and tells what came of a call. Sent by the module, since only JSON is
/// accepted.
pub(super) fn dialog() -> Markup {
    html! {
        p #told .told role="status" {}
        div #failed .problem role="alert" hidden {}
        dialog #ask aria-labelledby="ask-title" {
            form method="dialog" {
                h2 #ask-title { "Why?" }
                label for="why" { "Reason, kept in the log" }
                textarea #why name="reason" rows="3" required maxlength="500" {}
                div.problem #ask-problem role="alert" hidden {}
                div.actions {
                    button.quiet type="button" #ask-cancel { "Cancel" }
                    button.primary type="submit" #ask-submit { "Record" }
                }
            }
        }
    }
}
