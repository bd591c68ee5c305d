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
}

/// The same, checked.
struct Filters {
    aggregate_type: Option<String>,
    prefix: String,
    after: Option<StreamId>,
}

impl Asked {
    fn into_filters(self) -> Result<Filters, Failure> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let aggregate_type = given(self.aggregate_type);
        let after_type = given(self.after_type).or_else(|| aggregate_type.clone());
        let after = match (after_type, given(self.after)) {
            (Some(after_type), Some(after)) => Some(StreamId::new(after_type, after)?),
            _ => None,
        };
        Ok(Filters {
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
