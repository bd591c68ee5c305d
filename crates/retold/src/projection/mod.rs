//! Projections: tables that are derived from the log and kept for reading, with an effect that is
//! exactly once, and rebuilt beside the running ones.
//!
//! A [`Projection`] says which tables it has, and what an event does to their rows. It runs in the
//! background from when the handle is opened. What it writes is kept in one transaction with how
//! far it has come, so after a crash no event counts twice and none is missing.
//!
//! ```
//! use retold::projection::{Projection, View};
//! use retold::{BoxError, ColumnType, NewEvent, RecordedEvent, Retold, StreamId, Table};
//!
//! struct Comments;
//!
//! impl Projection for Comments {
//!     fn name(&self) -> &str {
//!         "comments"
//!     }
//!
//!     fn tables(&self) -> Vec<Table> {
//!         let by_actor = Table::new("by_actor")
//!             .key("actor", ColumnType::Text)
//!             .column("comments", ColumnType::Integer)
//!             .index(&["comments"]);
//!         vec![by_actor]
//!     }
//!
//!     fn apply(&self, event: &RecordedEvent, view: &mut View<'_>) -> Result<(), BoxError> {
//!         if event.event_type == "issue.commented" {
//!             let actor = event.metadata.actor.clone().unwrap_or_default();
//!             let before = match view.get("by_actor", &actor)? {
//!                 Some(row) => row.integer("comments")?,
//!                 None => 0,
//!             };
//!             view.put("by_actor", (actor, before + 1))?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), retold::Error> {
//! let retold = Retold::builder().projection(Comments).open("memory:").await?;
//! let issue = StreamId::new("Issue", "42")?;
//! let comment = NewEvent::new(issue, "issue.commented", "Done?")?.actor("ada");
//! let appended = retold.append(comment).await?;
//!
//! // Once the view is as far as the event, the row tells of it.
//! let comments = retold.projection("comments");
//! comments.wait_through(appended.events[0].position).await?;
//! let row = comments.row("by_actor", "ada").await?.expect("there is a comment of ada's");
//! assert_eq!(row.integer("comments")?, 1);
//! # retold.close().await
//! # }
//! ```
//!
//! # Versions
//!
//! Another [`version`](Projection::version), other tables or other upcasters make another view,
//! in a file of its own (`views/<name>@<version>.db` in an embedded store). It is built beside the
//! one that is read, and takes its place once it has caught up; the one before is kept and can be
//! brought back. The same is done by hand with [`ProjectionHandle::rebuild`]. What is decided about a
//! projection is an event of the stream `$projection/<name>`.
//!
//! # When something fails
//!
//! An event that [`apply`](Projection::apply) fails on stops the view in front of it, and
//! [`ProjectionStatus`] shows the event and the error. Nothing is passed over: once the code is
//! mended, or whatever it missed is there, [`resume`](ProjectionHandle::resume) or the next start
//! goes on with that event. A disk that is full or a file that is locked is tried again by itself.

mod applying;
mod builtin;
mod compare;
#[cfg(test)]
mod crash_points;
mod deciding;
mod definition;
mod handle;
mod process;
mod registry;
mod row;
mod running;
mod standing;
mod status;
mod view;

use retold_core::{Filter, RecordedEvent, Table};

pub use builtin::{CurrentState, ProcessMap, StateHistory, duration_bucket, duration_of_bucket};
pub use compare::{Comparison, RowDifference, TableComparison};
pub use handle::{ProjectionHandle, Rows};
pub use process::{ProcessEdge, ProcessEvent, ProcessGraph};
pub(crate) use registry::Registry;
pub use row::{IntoValues, Row};
pub use status::{ProjectionFailure, ProjectionStatus, VersionRole, VersionState, VersionStatus};
pub use view::View;

use crate::BoxError;

/// What makes a view of the log: see the [module](self).
pub trait Projection: Send + Sync + 'static {
    /// Its name: lower case letters, digits, `_` and `-`.
    fn name(&self) -> &str;

    /// Stands for what [`apply`](Self::apply) does. Raise it when that changes: the view is then
    /// built anew beside the one that is there, and takes its place.
    fn version(&self) -> u32 {
        1
    }

    /// Its tables. Another one may be [declared](View::declare) when an event asks for it.
    fn tables(&self) -> Vec<Table>;

    /// Which events it is given, as they were written; all but those of reserved streams unless
    /// told otherwise.
    fn filter(&self) -> Filter {
        Filter::default()
    }

    /// Stands for whatever else the rows depend on, such as a setting: like another
    /// [`version`](Self::version), another one makes another view.
    fn fingerprint(&self) -> String {
        String::new()
    }

    /// Does to the rows what an event says. It is given events in the order of the log, as today's
    /// code would have written them, and depends on nothing but the event and the rows: it may be
    /// called again for an event whose effect was undone by a crash.
    ///
    /// # Errors
    /// Whatever it cannot do. The view stops in front of the event.
    fn apply(&self, event: &RecordedEvent, view: &mut View<'_>) -> Result<(), BoxError>;
}
