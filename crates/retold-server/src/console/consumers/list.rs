//! The list of consumers as HTML.

use maud::{Markup, html};
use retold::consumer::ConsumerStatus;

use super::{behind, state};
use crate::console::{address, layout};

pub(super) fn body(consumers: &[ConsumerStatus]) -> Markup {
    html! {
        h1 { "Consumers" }
        p.lead { "What reacts to events: how far each has come, and what it could not digest." }
        div #live {
            @if consumers.is_empty() {
                div.nothing {
                    p { "There are no consumers." }
                    p { "One is made with " code { "retold consumers create" } ", or with PUT /v1/consumers/NAME." }
                }
            } @else {
                ul.streams { @for consumer in consumers { (line(consumer)) } }
            }
        }
        (super::one::dialog())
    }
}

fn line(consumer: &ConsumerStatus) -> Markup {
    let (word, reason) = state(consumer);
    html! {
        li {
            a.id href=(address::consumer(&consumer.name)) { (consumer.name) }
            span.standing { (layout::status(word)) }
            span.count {
                @if consumer.parked_streams > 0 {
                    (layout::counted(consumer.parked_streams as u64, "parked stream"))
                }
            }
            span.aside { @if let Some(reason) = reason { bdi { (reason) } } @else { "Behind: " (behind(consumer)) } }
        }
    }
}
