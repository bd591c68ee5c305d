//! What is decided about a projection: each decision is noted in the log first, then carried out.

use std::sync::Arc;
use std::time::Duration;

use retold_core::{Error, Text, ViewId};
use tokio::time::timeout;

use super::definition::Decision;
use super::registry::{Registry, none_of};
use super::running::Held;
use super::status::VersionRole;

/// How long the version that is read may take to stand, and another one to get there: a batch is
/// applied in less.
const STANDING_WAIT: Duration = Duration::from_secs(1);

impl Registry {
    /// Builds a version anew beside the one that is read.
    pub(super) async fn rebuild(
        self: &Arc<Self>,
        name: &Text,
        is_held: bool,
    ) -> Result<Text, Error> {
        let _changing = self.changing.lock().await;
        let definition = self.definition(name)?;
        if let Some((version, _)) = definition.building {
            let reason = format!("{name} is being built already, as {version}; cancel that first");
            return Err(Error::invalid("projection", reason));
        }
        let code = Arc::clone(self.newest(name)?);
        self.build(name, &code, is_held).await
    }

    /// Puts a version that has caught up in the place of the one that is read; called by itself.
    pub(super) async fn take_over(&self, id: &ViewId) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let definition = self.definition(&id.name)?;
        match definition.building {
            Some((version, false)) if version == id.version => {}
            _ => return Ok(()),
        }
        // A reader must not go back. The one that is read goes no further meanwhile; where it is
        // ahead, the other one tries again behind its next batch, which is not far.
        let current = definition
            .current
            .expect("a projection that was begun has one");
        let _held = self.stand_still(&id.name, &current).await;
        let position = |version| {
            let reached = self.reached(&id.name, version);
            reached.map_or(0, |reached| reached.borrow().complete_through)
        };
        match position(&id.version) < position(&current) {
            true => Ok(()),
            false => self.swap(&id.name, &id.version).await,
        }
    }

    /// Stops a version where it is, if it is carried on and does so in time: one that tries again
    /// after a failure goes nowhere anyway.
    async fn stand_still(&self, name: &Text, version: &Text) -> Option<Held> {
        let running = self.running(name, version)?;
        timeout(STANDING_WAIT, running.hold()).await.ok()
    }

    /// Puts the version that is built in the place of the one that is read.
    pub(super) async fn promote(&self, name: &Text) -> Result<Text, Error> {
        let _changing = self.changing.lock().await;
        let building = self.definition(name)?.building;
        let (version, _) = building.ok_or_else(|| none_of(name, "being built"))?;
        let mut reached = self.reached(name, &version);
        if let Some(reached) = &mut reached {
            // One whose file is just being opened does not say how far it was.
            let has_caught_up = reached.wait_for(|it| it.has_caught_up);
            let _ = timeout(STANDING_WAIT, has_caught_up).await;
        }
        let ready = reached.filter(|reached| reached.borrow().has_caught_up);
        let Some(mut reached) = ready else {
            let reason = format!("{version} of {name} has not caught up yet");
            return Err(Error::invalid("version", reason));
        };
        let current = self.in_role(name, VersionRole::Current)?;
        let held = self.stand_still(name, &current).await;
        if let Some(held) = &held {
            let is_there = reached.wait_for(|it| it.complete_through >= held.position());
            // One that stands still, as a person wants, is read where it is.
            let _ = timeout(STANDING_WAIT, is_there).await;
        }
        self.swap(name, &version).await.map(|()| version)
    }

    /// Reads the version again that was read before.
    pub(super) async fn bring_back(&self, name: &Text) -> Result<Text, Error> {
        let _changing = self.changing.lock().await;
        let previous = self.definition(name)?.previous;
        let version = previous.ok_or_else(|| none_of(name, "kept"))?;
        self.swap(name, &version).await.map(|()| version)
    }

    async fn swap(&self, name: &Text, version: &Text) -> Result<(), Error> {
        let before = self.definition(name)?;
        let current = before.current.expect("a projection that was begun has one");
        let decision = Decision::Promoted {
            version: version.to_string(),
            previous: current.to_string(),
        };
        self.decide(name, decision).await?;
        self.tell();
        if let Some(running) = self.running(name, version) {
            running
                .control
                .send_modify(|control| control.takes_over = false);
        }
        match before.previous {
            Some(older) if older != *version => self.remove(name, &older).await,
            _ => Ok(()),
        }
    }

    /// Gives the version up that is being built.
    pub(super) async fn cancel(&self, name: &Text) -> Result<Text, Error> {
        let _changing = self.changing.lock().await;
        let building = self.definition(name)?.building;
        let (version, _) = building.ok_or_else(|| none_of(name, "being built"))?;
        let decision = Decision::Cancelled {
            version: version.to_string(),
        };
        self.decide(name, decision).await?;
        self.remove(name, &version).await.map(|()| version)
    }

    /// Gives the version up that was read before.
    pub(super) async fn discard(&self, name: &Text) -> Result<Text, Error> {
        let _changing = self.changing.lock().await;
        let previous = self.definition(name)?.previous;
        let version = previous.ok_or_else(|| none_of(name, "kept"))?;
        let decision = Decision::Discarded {
            version: version.to_string(),
        };
        self.decide(name, decision).await?;
        self.remove(name, &version).await.map(|()| version)
    }

    /// Pauses the version that is being built, or else the one that is read.
    pub(super) async fn pause(&self, name: &Text, reason: String) -> Result<Text, Error> {
        let _changing = self.changing.lock().await;
        let version = self.subject(name)?;
        let decision = Decision::Paused {
            version: version.to_string(),
            reason: reason.clone(),
        };
        self.decide(name, decision).await?;
        if let Some(running) = self.running(name, &version) {
            running
                .control
                .send_modify(|control| control.paused = Some(reason));
        }
        Ok(version)
    }

    /// Lets the same version go on, also in front of an event that it failed on.
    pub(super) async fn resume(&self, name: &Text) -> Result<Text, Error> {
        let _changing = self.changing.lock().await;
        let version = self.subject(name)?;
        if self.definition(name)?.paused.contains_key(&version) {
            let decision = Decision::Resumed {
                version: version.to_string(),
            };
            self.decide(name, decision).await?;
        }
        if let Some(running) = self.running(name, &version) {
            running.control.send_modify(|control| {
                control.paused = None;
                control.retries += 1;
            });
        }
        Ok(version)
    }

    /// What a decision is about that names no version.
    fn subject(&self, name: &Text) -> Result<Text, Error> {
        let definition = self.definition(name)?;
        let building = definition.building.map(|(version, _)| version);
        Ok(building
            .or(definition.current)
            .expect("a projection that was begun has one"))
    }
}
