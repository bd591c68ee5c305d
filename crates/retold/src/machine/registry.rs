//! The machines that a handle knows: those given to the builder, and those kept as events in
//! `$machine/<Type>`, which come before the others.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use retold_core::{
    Append, Direction, EventStore, NewEvent, RecordedEvent, StreamId, StreamQuery, StreamsQuery,
};
use serde::{Deserialize, Serialize};

use super::Machine;
use crate::Error;

/// The type of the streams that hold machines; the id is the aggregate type.
const MACHINE_STREAM_TYPE: &str = "$machine";

/// The type of the event that adds a machine or a new version of it.
const MACHINE_ADDED: &str = "machine.added";

/// The payload of [`MACHINE_ADDED`].
#[derive(Serialize, Deserialize)]
struct Added {
    toml: String,
}

#[derive(Clone)]
struct Registered {
    machine: Arc<Machine>,
    /// Whether it is an event of the log, so that adding it once more says nothing new.
    is_stored: bool,
}

#[derive(Default)]
pub(crate) struct Registry {
    by_type: RwLock<HashMap<String, Registered>>,
    /// Held while a machine is appended and registered, so that both happen in one order.
    adding: tokio::sync::Mutex<()>,
}

impl Registry {
    /// The machines `given`, and those that the log holds.
    pub(crate) async fn load(
        store: &dyn EventStore,
        given: Vec<Machine>,
    ) -> Result<Registry, Error> {
        let registry = Registry::default();
        for machine in given {
            registry.set(Arc::new(machine), false);
        }
        registry.read_from(store).await?;
        Ok(registry)
    }

    /// Takes in the machines that the log holds.
    pub(crate) async fn read_from(&self, store: &dyn EventStore) -> Result<(), Error> {
        let mut query = StreamsQuery {
            aggregate_type: Some(MACHINE_STREAM_TYPE.into()),
            ..StreamsQuery::default()
        };
        loop {
            let page = store.streams(query.clone()).await?;
            for summary in page.streams {
                if let Some(machine) = newest(store, summary.stream).await? {
                    self.set(Arc::new(machine), true);
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    pub(crate) fn get(&self, aggregate_type: &str) -> Option<Arc<Machine>> {
        self.registered(aggregate_type)
            .map(|registered| registered.machine)
    }

    fn registered(&self, aggregate_type: &str) -> Option<Registered> {
        let by_type = self.by_type.read().unwrap_or_else(PoisonError::into_inner);
        by_type.get(aggregate_type).cloned()
    }

    fn set(&self, machine: Arc<Machine>, is_stored: bool) {
        let mut by_type = self.by_type.write().unwrap_or_else(PoisonError::into_inner);
        let aggregate_type = machine.aggregate_type().to_owned();
        by_type.insert(aggregate_type, Registered { machine, is_stored });
    }
}

/// The newest version of the machine that a stream holds.
async fn newest(store: &dyn EventStore, stream: StreamId) -> Result<Option<Machine>, Error> {
    let mut query = StreamQuery::new(stream);
    query.direction = Direction::Backward;
    query.event_type = Some(MACHINE_ADDED.into());
    query.limit = 1;
    loop {
        let page = store.read_stream(query.clone()).await?;
        let next = page.next;
        if let Some(event) = page.into_events()?.pop() {
            return read(&event).map(Some);
        }
        match next {
            Some(next) => query = query.continued(next),
            None => return Ok(None),
        }
    }
}

/// The machine that an event of a reserved stream adds; none where it does something else.
pub(crate) fn machine_added(event: &RecordedEvent) -> Result<Option<Machine>, Error> {
    let is_added =
        event.stream.aggregate_type() == MACHINE_STREAM_TYPE && event.event_type == MACHINE_ADDED;
    is_added.then(|| read(event)).transpose()
}

fn read(event: &RecordedEvent) -> Result<Machine, Error> {
    let added: Added = event
        .payload
        .decode()
        .map_err(|error| retold_core::Error::invalid("payload", error.to_string()))?;
    Ok(Machine::from_toml(&added.toml)?)
}

/// The machines of a handle: [`Retold::machines`](crate::Retold::machines).
#[derive(Clone, Copy)]
pub struct Machines<'a> {
    pub(crate) store: &'a dyn EventStore,
    pub(crate) registry: &'a Registry,
}

/// What [`Machines::add`] did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MachineAdded {
    /// Whether the type had no machine before.
    pub is_new: bool,
    /// The machine that the type has now.
    pub machine: Arc<Machine>,
}

impl Machines<'_> {
    /// The machine of an aggregate type.
    pub fn get(&self, aggregate_type: &str) -> Option<Arc<Machine>> {
        self.registry.get(aggregate_type)
    }

    /// All machines, by aggregate type.
    pub fn list(&self) -> Vec<Arc<Machine>> {
        let by_type = self.registry.by_type.read();
        let by_type = by_type.unwrap_or_else(PoisonError::into_inner);
        let mut machines: Vec<_> = by_type.values().map(|r| r.machine.clone()).collect();
        machines.sort_by(|a, b| a.aggregate_type().cmp(b.aggregate_type()));
        machines
    }

    /// Adds a machine, or a new version of one, and keeps it in the log: whoever opens the log
    /// from now on knows it. It judges new transitions only; what is recorded stays as it is.
    ///
    /// A handle that is open already in another process learns of it when it is opened again.
    /// Adding the version that the log holds already writes nothing.
    ///
    /// # Errors
    /// [`Error::Store`] when the event cannot be appended.
    pub async fn add(&self, machine: Machine) -> Result<MachineAdded, Error> {
        let _adding = self.registry.adding.lock().await;
        let before = self.registry.registered(machine.aggregate_type());
        let is_new = before.is_none();
        if let Some(before) = before
            && before.is_stored
            && *before.machine == machine
        {
            let machine = before.machine;
            return Ok(MachineAdded { is_new, machine });
        }
        let stream = StreamId::new(MACHINE_STREAM_TYPE, machine.aggregate_type())?;
        let added = Added {
            toml: machine.toml().to_owned(),
        };
        let event = NewEvent::new(stream, MACHINE_ADDED, &added)?;
        self.store
            .append(Append::new(vec![event]).by_retold())
            .await?;
        let machine = Arc::new(machine);
        self.registry.set(machine.clone(), true);
        Ok(MachineAdded { is_new, machine })
    }
}
