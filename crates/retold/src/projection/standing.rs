//! How projections stand, put together of what their tasks and their files tell.

use std::time::Duration;

use retold_core::{Error, Position, Text};

use super::definition::Definition;
use super::registry::Registry;
use super::running::blocking;
use super::status::{ProjectionStatus, VersionRole, VersionState, VersionStatus};

impl Registry {
    /// How a projection stands.
    pub(super) async fn status(&self, name: &Text) -> Result<ProjectionStatus, Error> {
        let head = self.head().await?;
        let definition = match self.definition(name) {
            Err(Error::Busy { .. }) => Definition::default(),
            definition => definition?,
        };
        let building = definition.building.clone();
        let roles = [
            (VersionRole::Current, definition.current),
            (
                VersionRole::Building,
                building.as_ref().map(|(version, _)| version.clone()),
            ),
            (VersionRole::Previous, definition.previous),
        ];
        let mut versions = Vec::new();
        for (role, version) in roles {
            let Some(version) = version else { continue };
            let is_held = role == VersionRole::Building && building.as_ref().is_some_and(|b| b.1);
            let status = self
                .version_status(name, version, (role, is_held), head)
                .await?;
            versions.extend(status);
        }
        Ok(ProjectionStatus {
            name: name.clone(),
            head,
            versions,
        })
    }

    async fn version_status(
        &self,
        name: &Text,
        version: Text,
        (role, is_held): (VersionRole, bool),
        head: Position,
    ) -> Result<Option<VersionStatus>, Error> {
        let Some(running) = self.running(name, &version) else {
            let reader = match self.reader(name, &version).await {
                Err(Error::NotFound { .. }) => return Ok(None),
                reader => reader?,
            };
            let progress = blocking(move || reader.progress()).await?;
            return Ok(Some(VersionStatus {
                version,
                role,
                state: VersionState::Frozen,
                has_caught_up: progress.as_ref().is_some_and(|p| p.has_caught_up),
                complete_through: progress.map_or(0, |p| p.complete_through),
                is_held,
                events: 0,
                lost: 0,
                batches: 0,
                batch_time: Duration::ZERO,
                per_second: None,
                remaining: None,
            }));
        };
        let (state, counts, per_second) = running.standing();
        let reached = *running.reached.borrow();
        let behind = head.saturating_sub(reached.complete_through);
        let remaining = per_second.filter(|_| behind > 0).and_then(|per_second| {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            Duration::try_from_secs_f64(behind as f64 / per_second).ok()
        });
        Ok(Some(VersionStatus {
            version,
            role,
            state,
            has_caught_up: reached.has_caught_up,
            complete_through: reached.complete_through,
            is_held,
            events: counts.events,
            lost: counts.lost,
            batches: counts.batches,
            batch_time: counts.batch_time,
            per_second,
            remaining,
        }))
    }
}
