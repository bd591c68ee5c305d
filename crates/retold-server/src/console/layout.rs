//! What every page has around it, and the pieces that several pages show.

use maud::{DOCTYPE, Markup, html};
use retold::Timestamp;

use super::{asset, text};

/// A whole page.
pub(super) fn page(title: &str, content: Markup) -> Markup {
    page_with(&asset::MODULE, title, content)
}

/// A whole page with a module of its own.
pub(super) fn page_with(module: &asset::Asset, title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Retold" }
                link rel="icon" type="image/svg+xml" href=(asset::ICON.address());
                link rel="stylesheet" href=(asset::STYLE.address());
                script type="module" src=(module.address()) {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.site {
                    a.wordmark href="/" { "Retold" }
                    nav aria-label="Parts" {
                        ul {
                            li { a href="/" { "Streams" } }
                            li { a href="/processes" { "Processes" } }
                            li { a href="/consumers" { "Consumers" } }
                        }
                    }
                }
                main #content tabindex="-1" { (content) }
            }
        }
    }
}

/// Characters of a name from which on it is a text rather than a title, and set smaller.
const TITLE_CHARS_MAX: usize = 60;

/// An id as the title of its page.
pub(super) fn name(id: &str) -> Markup {
    let is_long = id.chars().nth(TITLE_CHARS_MAX).is_some();
    html! { h1.long[is_long] { bdi { (id) } } }
}

/// An instant, to the second; the whole of it is in the attribute.
pub(super) fn time(instant: Timestamp) -> Markup {
    html! {
        time datetime=(instant) title=(instant) { (text::to_the_second(instant)) }
    }
}

/// The name of a state.
pub(super) fn status(status: &str) -> Markup {
    html! { span.status { bdi { (status) } } }
}

/// The state that a transition leads to.
pub(super) fn leads_to(status: &str) -> Markup {
    html! {
        span.to { span aria-hidden="true" { "→ " } span.hidden { "to " } bdi { (status) } }
    }
}

/// A number with its noun.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", text::grouped(count))
}
