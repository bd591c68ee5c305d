//! The projections of a handle: which versions there are, which is read, and taking its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use retold_core::{Error, EventStore, Position, Text, ViewId, ViewReader, ViewStore};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Projection;
use super::applying::made_by;
use super::definition::{self, Decision, Definition};
use super::running::{Control, Reached, Running, blocking};
use super::status::VersionRole;
use crate::upcasters::Chains;

/// The pause before a projection that could not be begun is tried again.
const BEGIN_PAUSE: Duration = Duration::from_secs(1);

/// The projections of a handle.
pub(crate) struct Registry {
    store: Arc<dyn EventStore>,
    views: Arc<dyn ViewStore>,
    upcasters: Chains,
    projections: BTreeMap<Text, Vec<Arc<dyn Projection>>>,
    named: Mutex<BTreeMap<Text, Named>>,
    /// Held while something is decided, so that decisions come one after the other.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Says that another version is read, or one has become ready.
    changed: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
    beginning: Mutex<Option<JoinHandle<()>>>,
}

/// A projection that was begun.
#[derive(Default)]
struct Named {
    definition: Definition,
    /// Whether no version is made by the newest code.
    lacks_newest: bool,
    versions: BTreeMap<Text, Version>,
}

struct Version {
    id: ViewId,
    /// What carries it on; none where it stays as it is.
    running: Option<(Arc<Running>, JoinHandle<()>)>,
    reader: OnceLock<Arc<dyn ViewReader>>,
}

/// The version that is read, at one moment.
pub(super) struct Current {
    pub(super) version: Text,
    pub(super) reader: Arc<dyn ViewReader>,
    /// How far it is, where it is carried on.
    pub(super) reached: Option<watch::Receiver<Reached>>,
}

impl Registry {
    pub(crate) fn new(
        (store, views): (Arc<dyn EventStore>, Arc<dyn ViewStore>),
        upcasters: Chains,
        projections: Vec<Arc<dyn Projection>>,
    ) -> Result<Registry, Error> {
        let mut by_name: BTreeMap<Text, Vec<Arc<dyn Projection>>> = BTreeMap::new();
        for projection in projections {
            retold_core::check_view_name(projection.name())?;
            for table in projection.tables() {
                table.check()?;
            }
            let of_name = by_name.entry(projection.name().into()).or_default();
            if of_name
                .iter()
                .any(|known| known.version() == projection.version())
            {
                let (name, version) = (projection.name(), projection.version());
                let reason = format!("{name} must not be given twice with version {version}");
                return Err(Error::invalid("projection", reason));
            }
            of_name.push(projection);
            of_name.sort_by_key(|projection| projection.version());
        }
        Ok(Registry {
            store,
            views,
            upcasters,
            projections: by_name,
            named: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            changed: watch::Sender::default(),
            stopping: watch::Sender::default(),
            beginning: Mutex::default(),
        })
    }

    fn named(&self) -> MutexGuard<'_, BTreeMap<Text, Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins all projections, in the background: a log that takes no decisions now must not keep
    /// a handle from opening.
    pub(crate) fn begin(self: &Arc<Self>) {
        if self.projections.is_empty() {
            return;
        }
        let registry = Arc::downgrade(self);
        let mut stopping = self.stopping.subscribe();
        let names: Vec<Text> = self.projections.keys().cloned().collect();
        let task = tokio::spawn(async move {
            for name in names {
                loop {
                    let Some(registry) = registry.upgrade() else {
                        return;
                    };
                    let begun = registry.begin_one(&name).await;
                    drop(registry);
                    let Err(error) = begun else { break };
                    tracing::warn!(projection = &*name, %error, "failed to begin; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(BEGIN_PAUSE) => {}
                        _ = stopping.wait_for(|stops| *stops) => return,
                    }
                }
            }
        });
        let mut beginning = self
            .beginning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *beginning = Some(task);
    }

    /// Begins a projection: carries on what can be, and begins to build what is missing.
    async fn begin_one(self: &Arc<Self>, name: &Text) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        if *self.stopping.borrow() {
            return Ok(());
        }
        if !self.named().contains_key(name) {
            self.open_one(name).await?;
        }
        let lacks_newest = {
            let named = self.named();
            let named = &named[name];
            named.lacks_newest && named.definition.building.is_none()
        };
        if lacks_newest {
            let newest = Arc::clone(self.newest(name)?);
            self.build(name, &newest, false).await?;
        }
        Ok(())
    }

    /// Carries on what there is of a projection.
    async fn open_one(self: &Arc<Self>, name: &Text) -> Result<(), Error> {
        let mut definition = definition::read(&*self.store, name).await?;
        let kept = self.kept(name).await?;
        let newest = Arc::clone(self.newest(name)?);
        let wanted = made_by(&*newest, &self.upcasters);
        let declared = Text::from(newest.version().to_string());
        let current = definition.current.clone();
        let current = current.unwrap_or_else(|| kept.keys().next().cloned().unwrap_or(declared));
        definition.current = Some(current.clone());
        let writable = self.store.check_writable().await;
        let only_reads = matches!(writable, Err(Error::Unsupported { .. }));
        // What has nothing in it is made with today's code; but there is no use in a previous
        // version that would have to be made first.
        let maker = |version: &Text| kept.get(version).cloned().flatten();
        definition
            .previous
            .take_if(|version| maker(version).is_none());
        let building = definition.building.iter().map(|(version, _)| version);
        let wants: Vec<Text> = [&current]
            .into_iter()
            .chain(building)
            .chain(&definition.previous)
            .cloned()
            .collect();
        let made = |version: &Text| maker(version).unwrap_or_else(|| wanted.clone()) == wanted;
        let is_made = wants.iter().any(made);
        self.named().insert(
            name.clone(),
            Named {
                definition,
                versions: BTreeMap::new(),
                lacks_newest: !is_made && !only_reads,
            },
        );
        for version in &wants {
            let made_by = maker(version).unwrap_or_else(|| wanted.clone());
            let code = self.code(name, &made_by).filter(|_| !only_reads);
            self.carry_on(name, version, code);
        }
        if writable.is_ok() {
            // Left behind where a process died between a decision and its execution. Where the log
            // has lost its tail, they may be what tells of it.
            for version in kept.keys().filter(|version| !wants.contains(version)) {
                self.remove(name, version).await?;
            }
        }
        self.tell();
        Ok(())
    }

    /// The versions that are kept, and what made each; nothing where one is empty.
    async fn kept(&self, name: &Text) -> Result<BTreeMap<Text, Option<Text>>, Error> {
        let (views, name) = (Arc::clone(&self.views), name.clone());
        blocking(move || {
            let ids = views.views()?.into_iter().filter(|id| id.name == name);
            let progress_of = |id: &ViewId| match views.reader(id)?.progress() {
                Err(Error::NotFound { .. }) => Ok(None),
                progress => progress,
            };
            ids.map(|id| {
                let progress = progress_of(&id)?;
                Ok((id.version, progress.map(|progress| progress.made_by)))
            })
            .collect()
        })
        .await
    }

    pub(super) fn newest(&self, name: &Text) -> Result<&Arc<dyn Projection>, Error> {
        let of_name = self.projections.get(name);
        of_name
            .and_then(|of_name| of_name.last())
            .ok_or_else(|| unknown(name))
    }

    fn code(&self, name: &Text, maker: &Text) -> Option<&Arc<dyn Projection>> {
        let mut of_name = self.projections.get(name)?.iter();
        of_name.find(|code| made_by(&***code, &self.upcasters) == *maker)
    }

    /// Carries a version on, or leaves it as it is where there is no code for it.
    fn carry_on(self: &Arc<Self>, name: &Text, version: &Text, code: Option<&Arc<dyn Projection>>) {
        let id = ViewId {
            name: name.clone(),
            version: version.clone(),
        };
        let mut named = self.named();
        let named = named.get_mut(name).expect("it was begun");
        let running = code.map(|code| {
            let building = named.definition.building.as_ref();
            let control = Control {
                paused: named.definition.paused.get(version).cloned(),
                takes_over: building
                    .is_some_and(|(building, is_held)| building == version && !is_held),
                ..Control::default()
            };
            let stores = (Arc::clone(&self.store), Arc::clone(&self.views));
            let registry = Arc::downgrade(self);
            let (upcasters, code) = (self.upcasters.clone(), Arc::clone(code));
            let running = Running::new(id.clone(), stores, upcasters, code, registry, control);
            let running = Arc::new(running);
            (Arc::clone(&running), tokio::spawn(running.run()))
        });
        let version = Version {
            id,
            running,
            reader: OnceLock::new(),
        };
        named.versions.insert(version.id.version.clone(), version);
    }

    /// Begins to build a version beside the one that is read.
    pub(super) async fn build(
        self: &Arc<Self>,
        name: &Text,
        code: &Arc<dyn Projection>,
        is_held: bool,
    ) -> Result<Text, Error> {
        let known: BTreeSet<Text> = self.kept(name).await?.into_keys().collect();
        let definition = self.named()[name].definition.clone();
        let version = definition.next_version(code.version(), &known);
        let current = definition
            .current
            .expect("a projection that was begun has one");
        let decision = Decision::BuildStarted {
            version: version.to_string(),
            current: current.to_string(),
            is_held,
        };
        self.decide(name, decision).await?;
        self.carry_on(name, &version, Some(code));
        Ok(version)
    }

    /// Notes a decision, and what follows from it.
    pub(super) async fn decide(&self, name: &Text, decision: Decision) -> Result<(), Error> {
        definition::decide(&*self.store, name, &decision).await?;
        let mut named = self.named();
        let named = named.get_mut(name).expect("it was begun");
        named.definition.apply(decision);
        Ok(())
    }

    /// Ends a version and removes it.
    pub(super) async fn remove(&self, name: &Text, version: &Text) -> Result<(), Error> {
        let ended = {
            let mut named = self.named();
            named
                .get_mut(name)
                .and_then(|named| named.versions.remove(version))
        };
        if let Some((running, task)) = ended.and_then(|version| version.running) {
            running.stop();
            // A task that panicked has ended too.
            let _ = task.await;
        }
        let (views, id) = (
            Arc::clone(&self.views),
            ViewId {
                name: name.clone(),
                version: version.clone(),
            },
        );
        blocking(move || views.remove(&id)).await
    }

    pub(super) fn definition(&self, name: &Text) -> Result<Definition, Error> {
        match self.named().get(name) {
            Some(named) => Ok(named.definition.clone()),
            None if self.projections.contains_key(name) => Err(Error::Busy {
                reason: format!("the projection {name} is being opened"),
                event_ids: Vec::new(),
            }),
            None => Err(unknown(name)),
        }
    }

    pub(super) fn running(&self, name: &Text, version: &Text) -> Option<Arc<Running>> {
        let named = self.named();
        let version = named.get(name)?.versions.get(version)?;
        version
            .running
            .as_ref()
            .map(|(running, _)| Arc::clone(running))
    }

    pub(super) fn reached(&self, name: &Text, version: &Text) -> Option<watch::Receiver<Reached>> {
        let running = self.running(name, version)?;
        Some(running.reached.subscribe())
    }

    /// The version in a role.
    pub(super) fn in_role(&self, name: &Text, role: VersionRole) -> Result<Text, Error> {
        let definition = self.definition(name)?;
        let (version, is_what) = match role {
            VersionRole::Current => (definition.current, "read"),
            VersionRole::Building => (
                definition.building.map(|(version, _)| version),
                "being built",
            ),
            VersionRole::Previous => (definition.previous, "kept"),
        };
        version.ok_or_else(|| none_of(name, is_what))
    }

    /// Whoever reads a version.
    pub(super) async fn reader(
        &self,
        name: &Text,
        version: &Text,
    ) -> Result<Arc<dyn ViewReader>, Error> {
        let id = {
            let named = self.named();
            let version = named
                .get(name)
                .and_then(|named| named.versions.get(version));
            let version = version.ok_or_else(|| unknown(name))?;
            if let Some(reader) = version.reader.get() {
                return Ok(Arc::clone(reader));
            }
            version.id.clone()
        };
        let views = Arc::clone(&self.views);
        let reader: Arc<dyn ViewReader> = blocking(move || views.reader(&id)).await?.into();
        let named = self.named();
        if let Some(version) = named
            .get(name)
            .and_then(|named| named.versions.get(version))
        {
            return Ok(Arc::clone(version.reader.get_or_init(|| reader)));
        }
        Ok(reader)
    }

    /// The version that is read, once it has something to read.
    pub(super) async fn current(&self, name: &Text) -> Result<Option<Current>, Error> {
        if *self.stopping.borrow() {
            return Err(unknown(name));
        }
        let version = match self.in_role(name, VersionRole::Current) {
            Err(Error::Busy { .. }) => return Ok(None),
            version => version?,
        };
        let reached = self.reached(name, &version);
        if let Some(reached) = &reached
            && !reached.borrow().has_caught_up
        {
            return Ok(None);
        }
        match self.reader(name, &version).await {
            Ok(reader) => Ok(Some(Current {
                version,
                reader,
                reached,
            })),
            Err(Error::NotFound { .. }) if self.projections.contains_key(name) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says when another version is read, or there is one to read.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn names(&self) -> Vec<Text> {
        self.projections.keys().cloned().collect()
    }

    pub(super) async fn head(&self) -> Result<Position, Error> {
        Ok(self.store.head().await?.position)
    }

    /// Ends all; what was applied is kept.
    pub(crate) async fn end_all(&self) {
        self.stopping.send_replace(true);
        let beginning = {
            let mut beginning = self
                .beginning
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            beginning.take()
        };
        if let Some(beginning) = beginning {
            let _ = beginning.await;
        }
        let _changing = self.changing.lock().await;
        let named = std::mem::take(&mut *self.named());
        let versions = named
            .into_values()
            .flat_map(|named| named.versions.into_values());
        let tasks: Vec<_> = versions.filter_map(|version| version.running).collect();
        for (running, _) in &tasks {
            running.stop();
        }
        for (_, task) in tasks {
            let _ = task.await;
        }
        self.tell();
    }
}

/// Who drops the last handle without closing it ends what was running all the same.
impl Drop for Registry {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        for named in self.named().values() {
            for version in named.versions.values() {
                if let Some((running, _)) = &version.running {
                    running.stop();
                }
            }
        }
    }
}

pub(super) fn unknown(name: &str) -> Error {
    Error::NotFound {
        what: format!("a projection named {name}"),
    }
}

pub(super) fn none_of(name: &str, is_what: &str) -> Error {
    Error::NotFound {
        what: format!("a version of {name} that is {is_what}"),
    }
}
