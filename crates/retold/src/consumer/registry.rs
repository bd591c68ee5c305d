//! The consumers of a handle: which there are, and which are open in this process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use retold_core::{
    Checkpoint, Clock, ConsumerProgress, EventStore, SideStore, StreamsQuery, Tally, Text,
};
use tokio::task::JoinHandle;

use super::audit::{self, ConsumerAudit};
use super::definition::{self, CopiedStream, Definition, STREAM_TYPE};
use super::desk::Desk;
use super::handle::Consumer;
use super::running::Running;
use super::settings::{ConsumerSettings, ConsumerStart};
use super::standing::{ConsumerStatus, ParkedEvent, Standing};
use crate::upcasters::Chains;
use crate::{Error, checkpoint};

/// The consumers of a handle, and those that are open, by name.
pub(crate) struct Registry {
    pub(crate) stores: Stores,
    open: Mutex<HashMap<Text, Open>>,
    /// Held while one is made, opened or ended, so that each is open once.
    changing: tokio::sync::Mutex<()>,
}

struct Open {
    consumer: Consumer,
    running: Arc<Running>,
    tasks: Vec<JoinHandle<()>>,
}

/// What a consumer is made over.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) side_store: Arc<dyn SideStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) upcasters: Chains,
}

impl Registry {
    pub(crate) fn new(stores: Stores) -> Registry {
        Registry {
            stores,
            open: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Text, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a consumer; with settings it is made where there is none, and given them where it has
    /// others.
    pub(crate) async fn open_consumer(
        &self,
        name: &Text,
        settings: Option<ConsumerSettings>,
    ) -> Result<Consumer, Error> {
        let _changing = self.changing.lock().await;
        let (mut kept, sequence) = definition::read(&*self.stores.store, name).await?;
        if let Some(settings) = settings {
            match &kept {
                None => {
                    // What an earlier one of the name had finished is not this one's. It goes
                    // first: a process that dies in between must not leave it to this one.
                    self.stores.side_store.forget_consumer(name).await?;
                    definition::create(&*self.stores.store, name, &settings, sequence).await?;
                }
                Some(known) if is_same(&known.settings, &settings) => {}
                Some(known) if known.settings.filter != settings.filter => {
                    let reason = "a consumer keeps its filter: what a wider one asks for may lie \
                                  behind it already, and would be skipped in silence; make \
                                  another consumer";
                    return Err(retold_core::Error::invalid("filter", reason).into());
                }
                Some(known) => {
                    let sequence = known.sequence;
                    definition::change(&*self.stores.store, name, &settings, sequence).await?;
                    self.end(name).await;
                }
            }
            kept = definition::read(&*self.stores.store, name).await?.0;
        }
        let definition = kept.ok_or_else(|| unknown(name))?;
        if let Some(open) = self.open().get(name)
            && !open.running.has_stopped()
        {
            return Ok(open.consumer.clone());
        }
        self.end(name).await;
        let open = start(&self.stores, name, definition).await?;
        let consumer = open.consumer.clone();
        self.open().insert(name.clone(), open);
        Ok(consumer)
    }

    /// Ends a consumer and removes it.
    pub(crate) async fn delete(&self, name: &Text) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let (kept, _) = definition::read(&*self.stores.store, name).await?;
        kept.ok_or_else(|| unknown(name))?;
        self.end(name).await;
        definition::delete(&*self.stores.store, name).await?;
        Ok(self.stores.side_store.forget_consumer(name).await?)
    }

    /// Sends a consumer to begin anew.
    pub(crate) async fn reset(&self, name: &Text, start: ConsumerStart) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let store = &*self.stores.store;
        let (kept, _) = definition::read(store, name).await?;
        kept.ok_or_else(|| unknown(name))?;
        // Whatever may be refused comes before anything is ended or forgotten.
        let after = definition::position_of(store, start).await?;
        self.end(name).await;
        // First, since a process that dies in between must repeat, and not pass over.
        self.stores.side_store.forget_consumer(name).await?;
        definition::reset(store, name, after).await
    }

    /// How a consumer stands, which is not opened for that.
    pub(crate) async fn status(&self, name: &Text) -> Result<ConsumerStatus, Error> {
        let standing = self.look_at(name).await?;
        standing.status(&*self.stores.store).await
    }

    /// The events of a consumer that are parked.
    pub(crate) async fn parked(&self, name: &Text) -> Result<Vec<ParkedEvent>, Error> {
        Ok(self.look_at(name).await?.parked())
    }

    /// Compares what a consumer should have been given with what it finished.
    pub(crate) async fn audit(&self, name: &Text) -> Result<ConsumerAudit, Error> {
        let definition = definition::read(&*self.stores.store, name).await?.0;
        let definition = definition.ok_or_else(|| unknown(name))?;
        let standing = self.look_at(name).await?;
        audit::audit(&*self.stores.store, &definition, standing.progress()).await
    }

    /// What is known of a consumer, open or not.
    async fn look_at(&self, name: &Text) -> Result<Standing, Error> {
        let open = self.open().get(name).map(|open| {
            let settings = open.consumer.settings().clone();
            (Arc::clone(&open.running), settings)
        });
        if let Some((running, settings)) = open {
            return Ok(Standing::of(&running, &*running.settled().await, settings));
        }
        let definition = definition::read(&*self.stores.store, name).await?.0;
        let definition = definition.ok_or_else(|| unknown(name))?;
        let (desk, refused) = match kept_desk(&self.stores, name, &definition, 0).await {
            Ok(desk) => (desk, None),
            Err(error @ Error::ConsumerLog { .. }) => {
                let limits = definition.settings.limits();
                (
                    Desk::new(limits, 0, definition.after),
                    Some(error.to_string()),
                )
            }
            Err(error) => return Err(error),
        };
        Ok(Standing::closed(name.clone(), definition, desk, refused))
    }

    /// The names of all consumers, in order.
    pub(crate) async fn names(&self) -> Result<Vec<Text>, Error> {
        let mut query = StreamsQuery {
            aggregate_type: Some(Text::from_static(STREAM_TYPE)),
            ..StreamsQuery::default()
        };
        let mut names = Vec::new();
        loop {
            let page = self.stores.store.streams(query.clone()).await?;
            for summary in page.streams {
                let name = summary.stream.aggregate_id().clone();
                if definition::read(&*self.stores.store, &name)
                    .await?
                    .0
                    .is_some()
                {
                    names.push(name);
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(names),
            }
        }
    }

    /// Ends one that is open, which can be opened again.
    pub(crate) async fn close(&self, name: &Text) {
        let _changing = self.changing.lock().await;
        self.end(name).await;
    }

    /// Ends one that is open: what was answered is kept.
    async fn end(&self, name: &Text) {
        let ended = self.open().remove(name);
        if let Some(ended) = ended {
            ended.end().await;
        }
    }

    /// Ends all.
    pub(crate) async fn end_all(&self) {
        let _changing = self.changing.lock().await;
        let all: Vec<Open> = self.open().drain().map(|(_, open)| open).collect();
        for open in all {
            open.end().await;
        }
    }
}

impl Open {
    async fn end(mut self) {
        self.running.stop();
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has ended too.
            let _ = task.await;
        }
    }
}

/// Who drops the last handle without closing it ends what was open all the same.
impl Drop for Open {
    fn drop(&mut self) {
        self.running.stop();
    }
}

fn unknown(name: &Text) -> Error {
    Error::Store(retold_core::Error::NotFound {
        what: format!("a consumer named {name}"),
    })
}

/// Where a consumer begins matters only when it is made.
fn is_same(kept: &ConsumerSettings, given: &ConsumerSettings) -> bool {
    let given = ConsumerSettings {
        start: kept.start,
        ..given.clone()
    };
    *kept == given
}

async fn start(stores: &Stores, name: &Text, definition: Definition) -> Result<Open, Error> {
    let Stores {
        store,
        side_store,
        clock,
        upcasters,
    } = stores.clone();
    // Who only reads the log keeps nothing: it would hand out what another process hands out.
    if let Err(error @ retold_core::Error::Unsupported { .. }) = store.check_writable().await {
        return Err(error.into());
    }
    // Also where what was kept is lost, a later process has a higher epoch.
    let seconds = clock.now().as_micros() / 1_000_000;
    let epoch = side_store
        .claim_consumer(name, u32::try_from(seconds).unwrap_or(1))
        .await?;
    let mut desk = kept_desk(stores, name, &definition, epoch).await?;
    // What somebody decided to pass over is passed over, also where the process died in between.
    let decided: HashSet<_> = definition.skipped.iter().map(|s| s.event_id).collect();
    for stream in desk.progress() {
        if stream
            .blocked
            .is_some_and(|b| decided.contains(&b.event_id))
        {
            desk.skip(&stream.stream);
        }
    }
    let running = Arc::new(Running::new(
        name.clone(),
        (store, side_store),
        clock,
        definition.settings.filter.clone(),
        epoch,
        desk,
        definition.paused,
    ));
    let tasks = vec![
        tokio::spawn(Arc::clone(&running).read()),
        tokio::spawn(Arc::clone(&running).tend()),
    ];
    Ok(Open {
        consumer: Consumer::new(Arc::clone(&running), definition.settings, upcasters),
        running,
        tasks,
    })
}

/// A consumer as it was kept.
async fn kept_desk(
    stores: &Stores,
    name: &Text,
    definition: &Definition,
    epoch: u32,
) -> Result<Desk, Error> {
    let progress = match stores.side_store.consumer_progress(name).await? {
        Some(progress) => progress,
        None => copied_progress(&*stores.store, definition)?,
    };
    check_log(&*stores.store, name, progress.checkpoint.as_ref()).await?;
    let limits = definition.settings.limits();
    Ok(match progress.checkpoint {
        None if progress.streams.is_empty() => Desk::new(limits, epoch, definition.after),
        _ => Desk::resume(limits, epoch, progress, stores.clock.monotonic()),
    })
}

/// How far a consumer had come when that was last copied into the log.
fn copied_progress(
    store: &dyn EventStore,
    definition: &Definition,
) -> Result<ConsumerProgress, Error> {
    let Some(copied) = &definition.copied else {
        return Ok(ConsumerProgress::default());
    };
    let streams = copied.streams.iter().map(CopiedStream::progress);
    Ok(ConsumerProgress {
        checkpoint: Some(Checkpoint {
            log_id: store.log_id(),
            position: copied.position,
            event_id: copied.event_id,
        }),
        streams: streams.collect::<Result<_, _>>()?,
        tally: Tally {
            events: copied.events,
            sum: copied.sum,
        },
    })
}

/// Refuses to go on in a log that is not the one that was read.
async fn check_log(
    store: &dyn EventStore,
    name: &Text,
    checkpoint: Option<&Checkpoint>,
) -> Result<(), Error> {
    match checkpoint::belongs(store, checkpoint).await? {
        true => Ok(()),
        false => Err(Error::ConsumerLog {
            consumer: name.to_string(),
            position: checkpoint.map_or(0, |checkpoint| checkpoint.position),
        }),
    }
}
