//! What is decided about a projection: each decision is noted in the log first, then carried out.

use std::sync::Arc;

use retold_core::{Error, Text, ViewId};

use super::definition::Decision;
use super::registry::{Registry, none_of};

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
        // A reader must not go back: it waits for the next batch, which is not far.
        let current = definition
            .current
            .expect("a projection that was begun has one");
        let position = |version| {
            let reached = self.reached(&id.name, version);
            reached.map_or(0, |reached| reached.borrow().complete_through)
        };
        match position(&id.version) < position(&current) {
            true => Ok(()),
            false => self.swap(&id.name, &id.version).await,
        }
    }

    /// Puts the version that is built in the place of the one that is read.
    pub(super) async fn promote(&self, name: &Text) -> Result<Text, Error> {
        let _changing = self.changing.lock().await;
        let building = self.definition(name)?.building;
        let (version, _) = building.ok_or_else(|| none_of(name, "being built"))?;
        let reached = self.reached(name, &version);
        if !reached.is_some_and(|reached| reached.borrow().has_caught_up) {
            let reason = format!("{version} of {name} has not caught up yet");
            return Err(Error::invalid("version", reason));
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
