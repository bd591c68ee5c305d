//! Opening a handle with settings other than the defaults.

use std::path::Path;
use std::sync::Arc;

use retold_core::{Clock, EventStore, SideStore, SystemClock, ViewStore};
use retold_memory::{MemorySideStore, MemoryViews};

use crate::aggregate::Kinds;
use crate::bus::Bus;
use crate::command::Turns;
use crate::consumer;
use crate::hot::{HOT_STATES_MAX, HotCounts, HotStates};
use crate::machine::{Machine, Registry};
use crate::projection::{self, Projection};
use crate::retold::Inner;
use crate::snapshots::Making;
use crate::upcasters::{Chains, Upcasters};
use crate::{Error, Retold, open};

/// Opens a [`Retold`]: either [a location](RetoldBuilder::open), or
/// [the stores given](RetoldBuilder::build).
///
/// ```
/// # async fn example() -> Result<(), retold::Error> {
/// let retold = retold::Retold::builder()
///     .builtin_machines()
///     .open("memory:")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is opened until it is told to"]
pub struct RetoldBuilder {
    store: Option<Arc<dyn EventStore>>,
    side_store: Option<Arc<dyn SideStore>>,
    views: Option<Arc<dyn ViewStore>>,
    projections: Vec<Arc<dyn Projection>>,
    clock: Arc<dyn Clock>,
    machines: Vec<Machine>,
    upcasters: Vec<Upcasters>,
    hot_states_max: usize,
    holder: Option<String>,
    read_only: bool,
}

/// What a handle is made over.
type Stores = (Arc<dyn EventStore>, Arc<dyn SideStore>, Arc<dyn ViewStore>);

impl Default for RetoldBuilder {
    fn default() -> Self {
        RetoldBuilder {
            store: None,
            side_store: None,
            views: None,
            projections: Vec::new(),
            clock: Arc::new(SystemClock::default()),
            machines: Vec::new(),
            upcasters: Vec::new(),
            hot_states_max: HOT_STATES_MAX,
            holder: None,
            read_only: false,
        }
    }
}

impl RetoldBuilder {
    /// The log to use, which the handle does not close: for [`build`](Self::build).
    pub fn store(mut self, store: Arc<dyn EventStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// What a folder's file LOCK says of who has it open; a server says its URL, so that
    /// others can reach the folder through it. The process id unless told otherwise.
    pub fn holder(mut self, holder: impl Into<String>) -> Self {
        self.holder = Some(holder.into());
        self
    }

    /// Where snapshots are kept, in place of what belongs to the location.
    pub fn side_store(mut self, side_store: Arc<dyn SideStore>) -> Self {
        self.side_store = Some(side_store);
        self
    }

    /// Where the views of projections are kept, in place of what belongs to the location.
    pub fn view_store(mut self, views: Arc<dyn ViewStore>) -> Self {
        self.views = Some(views);
        self
    }

    /// A projection, which runs in the background from when the handle is opened. Several versions
    /// of one may be given: the newest is built where it is not there yet, and the others are
    /// carried on for as long as they are kept. See [`projection`].
    pub fn projection(mut self, projection: impl Projection) -> Self {
        self.projections.push(Arc::new(projection));
        self
    }

    /// The projections that come with the crate: [`CurrentState`](projection::CurrentState),
    /// [`StateHistory`](projection::StateHistory) and [`ProcessMap`](projection::ProcessMap).
    pub fn builtin_projections(self) -> Self {
        let machines = self.machines.iter();
        let machines: Vec<Machine> = machines.cloned().collect();
        self.projection(projection::CurrentState::new(&machines))
            .projection(projection::StateHistory)
            .projection(projection::ProcessMap)
    }

    /// Where the time comes from that events are recorded and snapshots are made at. Ids and
    /// timestamps of new events come from their constructors.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// A machine that the program brings along. One that the log holds for the same type comes
    /// before it.
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machines.push(machine);
        self
    }

    /// The shipped machines, [`Machine::issue`] and [`Machine::execution`].
    pub fn builtin_machines(self) -> Self {
        self.machine(Machine::issue()).machine(Machine::execution())
    }

    /// What turns events as they were once written into what today's code would have written.
    /// May be called several times, for the upcasters of several aggregate types.
    ///
    /// Whatever derives something meets the upcasted events: states, replays, snapshots, and
    /// subscriptions that [ask for it](crate::Subscription::upcasted). What reads the log itself
    /// shows what was written, as does the bus, on which is only what is written from now on.
    pub fn upcasters(mut self, upcasters: Upcasters) -> Self {
        self.upcasters.push(upcasters);
        self
    }

    /// Opens a folder without taking its lock, changes nothing in it, and follows whoever writes
    /// it. Shows what that writer has made durable for certain; appends are refused.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// How many states are kept in memory for the next decision, of machines and of each kind of
    /// aggregate; [`HOT_STATES_MAX`] unless told otherwise.
    pub fn hot_states_max(mut self, states: usize) -> Self {
        self.hot_states_max = states;
        self
    }

    /// Opens the log in a folder, or `"memory:"`.
    ///
    /// # Errors
    /// As [`Retold::open`]; [`Error::Upcasters`] when the upcasters cannot be used together;
    /// [`Invalid`](retold_core::Error::Invalid) when a store was given too.
    pub async fn open(mut self, location: impl AsRef<Path>) -> Result<Retold, Error> {
        if self.store.is_some() {
            return Err(Error::Store(retold_core::Error::invalid(
                "location",
                "must not be given together with a store; call build instead of open",
            )));
        }
        // Before anything is opened: what is wrong here is wrong with the program.
        let upcasters = Chains::new(&self.upcasters)?;
        let side_store = self.side_store.take();
        let holder = self.holder.take();
        let clock = self.clock.clone();
        let how = open::How {
            clock,
            side_store,
            holder,
            read_only: self.read_only,
        };
        let opened = open::open(location.as_ref(), how).await?;
        let views = self.views.take().unwrap_or(opened.views);
        let stores = (opened.store, opened.side_store, views);
        self.finish(upcasters, stores, true).await
    }

    /// Opens a handle on the store given. Without a side store snapshots are kept in memory, and
    /// views without a view store.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) when no store was given; [`Error::Machine`] when
    /// a machine that the log holds is not well formed; [`Error::Upcasters`] when the upcasters
    /// cannot be used together.
    pub async fn build(mut self) -> Result<Retold, Error> {
        let upcasters = Chains::new(&self.upcasters)?;
        let store = self.store.take().ok_or_else(|| {
            retold_core::Error::invalid("store", "must be given; or call open with a location")
        })?;
        let side_store = self.side_store.take();
        let side_store = side_store.unwrap_or_else(|| Arc::new(MemorySideStore::new()));
        let views = self.views.take();
        let views = views.unwrap_or_else(|| Arc::new(MemoryViews::new()));
        self.finish(upcasters, (store, side_store, views), false)
            .await
    }

    async fn finish(
        self,
        upcasters: Chains,
        (store, side_store, views): Stores,
        owns_store: bool,
    ) -> Result<Retold, Error> {
        let machines = Registry::load(&*store, self.machines).await?;
        let hot_counts = Arc::<HotCounts>::default();
        let stores = consumer::Stores {
            store: store.clone(),
            side_store: side_store.clone(),
            clock: self.clock.clone(),
            upcasters: upcasters.clone(),
        };
        let consumers = Arc::new(consumer::Registry::new(stores));
        let projections =
            projection::Registry::new((store.clone(), views), upcasters.clone(), self.projections)?;
        let projections = Arc::new(projections);
        projections.begin();
        Ok(Retold::from_inner(Inner {
            bus: Bus::new(consumers.clone()),
            store,
            side_store,
            clock: self.clock,
            machines,
            upcasters,
            hot: HotStates::new(self.hot_states_max, hot_counts.clone()),
            kinds: Kinds::new(self.hot_states_max, hot_counts.clone()),
            hot_counts,
            turns: Turns::default(),
            making: Making::default(),
            consumers,
            projections,
            owns_store,
        }))
    }
}
