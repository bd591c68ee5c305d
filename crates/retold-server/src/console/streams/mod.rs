//! `/`: the streams, by type and by the beginning of their id.

mod list;
mod view;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use retold::StreamId;
use serde::Deserialize;

use super::answer::Page;
use super::failure::Failure;
use super::layout;
use crate::App;

/// What is asked for. A form sends fields that were left empty, too.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(rename = "type")]
    aggregate_type: Option<String>,
    prefix: Option<String>,
    #[serde(rename = "afterType")]
    after_type: Option<String>,
    after: Option<String>,
    status: Option<String>,
    sort: Option<String>,
}

/// The same, checked.
struct Filters {
    aggregate_type: Option<String>,
    prefix: String,
    after: Option<StreamId>,
    /// In the order in which they were last written, which the log itself does not know.
    written: Option<Written>,
}

/// Streams in the order in which they were last written, the newest first.
struct Written {
    /// Only those with this status.
    status: Option<String>,
    /// Where the page begins.
    after: Option<String>,
}

impl Asked {
    fn into_filters(self) -> Result<Filters, Failure> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let aggregate_type = given(self.aggregate_type);
        let after_type = given(self.after_type).or_else(|| aggregate_type.clone());
        let status = given(self.status);
        let is_written = status.is_some() || given(self.sort).as_deref() == Some("written");
        let after_text = given(self.after);
        let after = match (after_type, &after_text) {
            (Some(after_type), Some(after)) if !is_written => {
                Some(StreamId::new(after_type, after.clone())?)
            }
            _ => None,
        };
        let written = is_written.then_some(Written {
            status,
            after: after_text,
        });
        Ok(Filters {
            written,
            aggregate_type,
            prefix: self.prefix.unwrap_or_default(),
            after,
        })
    }
}

/// `GET /`.
pub(super) async fn show(
    State(app): State<App>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Page, Failure> {
    let Query(asked) = asked?;
    let filters = asked.into_filters()?;
    let list = list::read(app.retold(), &filters).await?;
    Ok(Page::found(layout::page(
        "Streams",
        view::body(&filters, &list),
    )))
}
