//! The routes, by what they are about.

mod append;
mod bulk;
mod consumers;
mod events;
mod health;
mod log;
mod machines;
mod processes;
mod projections;
mod restore;
mod snapshots;
mod snapshots_check;
mod state;
mod streams;
mod traces;
mod transitions;

pub(crate) use consumers::lag_seconds;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;

/// All routes, with what the OpenAPI document says of them.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(events::read_stream, events::append))
        .routes(routes!(transitions::transition))
        .routes(routes!(state::state))
        .routes(routes!(
            snapshots::list_snapshots,
            snapshots::make_snapshot,
            snapshots::prune_snapshots
        ))
        .routes(routes!(snapshots::latest_snapshot))
        .routes(routes!(snapshots_check::check_snapshots))
        .routes(routes!(streams::list_streams))
        .routes(routes!(log::read_log, bulk::append_lines))
        .routes(routes!(append::append_together))
        .routes(routes!(log::read_event))
        .routes(routes!(restore::restore))
        .routes(routes!(machines::list_machines))
        .routes(routes!(machines::read_machine, machines::add_machine))
        .routes(routes!(traces::read_trace))
        .routes(routes!(processes::list_processes))
        .routes(routes!(processes::read_process))
        .routes(routes!(processes::list_process_streams))
        .merge(projections::router())
        .merge(consumers::router())
        .routes(routes!(health::is_alive))
        .routes(routes!(health::is_ready))
        .routes(routes!(health::info))
}
