//! Comparing snapshots with a replay of their streams.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use retold::{Json, SnapshotDifference, SnapshotFault, SnapshotsReport};
use serde::Serialize;

use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::limits::SNAPSHOT_SAMPLE_DEFAULT;
use crate::api::request::{Form, Parameters, accept};
use crate::api::schema;

/// What a check came to, on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    kept: u64,
    checked: u64,
    unused: u64,
    differing: u64,
    differences: Vec<DifferenceView<'a>>,
    unknown_reducers: BTreeMap<&'a str, u64>,
    seed: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DifferenceView<'a> {
    aggregate_type: &'a str,
    aggregate_id: &'a str,
    reducer: &'a str,
    sequence_number: u64,
    fault: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(report: &'a SnapshotsReport) -> View<'a> {
        let reducers = report.unknown_reducers.iter();
        View {
            kept: report.kept,
            checked: report.checked,
            unused: report.unused,
            differing: report.differing,
            differences: report.differences.iter().map(DifferenceView::of).collect(),
            unknown_reducers: reducers.map(|(name, count)| (&**name, *count)).collect(),
            seed: report.seed,
        }
    }
}

impl<'a> DifferenceView<'a> {
    fn of(difference: &'a SnapshotDifference) -> DifferenceView<'a> {
        let view = DifferenceView {
            aggregate_type: difference.stream.aggregate_type(),
            aggregate_id: difference.stream.aggregate_id(),
            reducer: &difference.reducer,
            sequence_number: difference.sequence_number,
            fault: "state",
            kept: None,
            derived: None,
            error: None,
        };
        match &difference.fault {
            SnapshotFault::State { kept, derived } => DifferenceView {
                kept: Some(kept),
                derived: Some(derived),
                ..view
            },
            SnapshotFault::Dates => DifferenceView {
                fault: "dates",
                ..view
            },
            SnapshotFault::Replay { error } => DifferenceView {
                fault: "replay",
                error: Some(error),
                ..view
            },
            _ => view,
        }
    }
}

/// Compares snapshots with a replay of their streams from the first event.
///
/// Those of machines, and of the states of types without one, are known to the service. Those of
/// an application's own reducers are not: they are counted by name in `unknownReducers`, and the
/// application's own program checks them. Each snapshot that is checked costs a replay.
#[utoipa::path(
    get,
    path = "/v1/snapshots/check",
    tag = "snapshots",
    params(schema::SnapshotsCheckQuery),
    responses(
        (status = 200, description = "What it came to.", body = schema::SnapshotsReportBody),
    ),
)]
pub(crate) async fn check_snapshots(
    State(app): State<App>,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    accept(&headers, &[Form::Json])?;
    let is_all = parameters.flag("all")?;
    let sample = parameters.number("sample")?;
    let seed = parameters.number("seed")?;
    parameters.finish()?;
    if is_all && (sample.is_some() || seed.is_some()) {
        let reason = "must not be given together with sample or seed";
        return Err(Problem::invalid("all", reason));
    }
    let mut check = app.retold().check_snapshots();
    if !is_all {
        let sample = sample.map(usize::try_from);
        check = check.sample(match sample {
            Some(sample) => sample.unwrap_or(usize::MAX),
            None => SNAPSHOT_SAMPLE_DEFAULT,
        });
    }
    if let Some(seed) = seed {
        check = check.seed(seed);
    }
    json(StatusCode::OK, &View::of(&check.await?))
}
