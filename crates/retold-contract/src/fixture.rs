//! How a store comes into the suite, and what each promise is given of it.

use std::any::Any;
use std::io::Write;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use retold_core::{Append, Clock, EventStore, NewEvent, RecordedEvent, SideStore, ViewStore};

use crate::events::{at, ok};
use crate::{ManualClock, seeds};

/// A place for one log, such as a temporary folder or a database schema.
#[async_trait]
pub trait StoreFixture: Sized + Send + Sync + 'static {
    /// Makes a place for a new, empty log. It is removed when the fixture is dropped.
    async fn create() -> Self;

    /// Opens the log, dated by `clock`.
    ///
    /// It is called again only after the store that it returned before was closed and dropped,
    /// and only where the store's capabilities say that it is durable.
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore>;
}

/// A place for one side store.
#[async_trait]
pub trait SideStoreFixture: Sized + Send + Sync + 'static {
    /// Makes a place for a new, empty side store. It is removed when the fixture is dropped.
    async fn create() -> Self;

    /// Opens the side store; called once.
    async fn open(&self) -> Arc<dyn SideStore>;
}

/// A place for views. It is removed when the value is dropped.
pub trait ViewPlace: 'static {
    /// Makes a place without views.
    fn create() -> Self
    where
        Self: Sized;

    /// The store of the place.
    fn store(&self) -> Arc<dyn ViewStore>;
}

type Created<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Places for as many logs as a promise needs: a [`StoreFixture`] without its type, so that the
/// promises are compiled once and not again for each store.
#[derive(Clone, Copy)]
pub struct Places {
    create: fn() -> Created<Box<dyn Place>>,
}

impl Places {
    /// The places that a fixture makes.
    pub fn of<F: StoreFixture>() -> Places {
        Places {
            create: || Box::pin(async { Box::new(F::create().await) as Box<dyn Place> }),
        }
    }
}

/// What is needed of a fixture once it is made.
#[async_trait]
trait Place: Send + Sync {
    async fn open_log(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore>;
}

#[async_trait]
impl<F: StoreFixture> Place for F {
    async fn open_log(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        self.open(clock).await
    }
}

/// The same for side stores.
#[derive(Clone, Copy)]
pub struct SidePlaces {
    create: fn() -> Created<SidePlace>,
}

/// What takes a side store's files away when it is dropped, and the side store.
type SidePlace = (Box<dyn Any + Send + Sync>, Arc<dyn SideStore>);

impl SidePlaces {
    /// The places that a fixture makes.
    pub fn of<F: SideStoreFixture>() -> SidePlaces {
        SidePlaces {
            create: || {
                Box::pin(async {
                    let fixture = F::create().await;
                    let store = fixture.open().await;
                    (Box::new(fixture) as Box<dyn Any + Send + Sync>, store)
                })
            },
        }
    }

    /// A new, empty side store, and its place.
    pub(crate) async fn create(self) -> SidePlace {
        (self.create)().await
    }
}

/// A new store, the clock that dates it, and the place that it is kept in.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn EventStore>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Where further stores of its kind are made.
    pub places: Places,
    /// Dropped last: it takes the store's files away.
    place: Box<dyn Place>,
}

impl Subject {
    /// A store over a new, empty log; its clock stands still.
    pub async fn new(places: Places) -> Subject {
        let clock = Arc::new(ManualClock::at(at(1_700_000_000)));
        Subject::with_clock(places, clock).await
    }

    /// The same with a clock that is shared with something else.
    pub async fn with_clock(places: Places, clock: Arc<ManualClock>) -> Subject {
        let place = (places.create)().await;
        let store = place.open_log(clock.clone()).await;
        Subject {
            store,
            clock,
            places,
            place,
        }
    }

    /// The same log, closed and opened again.
    pub async fn reopened(self) -> Subject {
        let Subject {
            store,
            clock,
            places,
            place,
        } = self;
        ok(store.close().await);
        drop(store);
        let store = place.open_log(clock.clone()).await;
        Subject {
            store,
            clock,
            places,
            place,
        }
    }

    /// Whether the log can be reopened; says so where it cannot.
    pub fn can_be_reopened(&self) -> bool {
        let is_durable = self.store.capabilities().durable;
        if !is_durable {
            // Not a skipped test: a store promises only what its capabilities say.
            tell("not promised: the store is not durable, so there is nothing to reopen");
        }
        is_durable
    }

    /// Appends events that must be new.
    pub async fn append(&self, events: Vec<NewEvent>) -> Vec<RecordedEvent> {
        let appended = ok(self.store.append(Append::new(events)).await);
        assert!(appended.is_new, "new events were taken for known ones");
        appended.events
    }

    /// Appends one event that must be new.
    pub async fn append_one(&self, event: NewEvent) -> RecordedEvent {
        let mut events = self.append(vec![event]).await;
        assert_eq!(events.len(), 1);
        events.remove(0)
    }
}

impl Deref for Subject {
    type Target = dyn EventStore;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

/// How long a promise may take before it counts as broken, beside the time that randomised
/// ones are given. Nothing waits this long when all is well; slow disks need the room.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs one promise on several threads, with a deadline instead of an endless wait.
pub fn keep(promise: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build();
    let runtime = ok(runtime);
    runtime.block_on(async {
        let Some(time) = seeds::time_asked_for() else {
            return promise.await;
        };
        let result = tokio::time::timeout(DEADLINE + time, promise).await;
        assert!(result.is_ok(), "not kept within {:?}", DEADLINE + time);
    });
}

/// Writes a line that a passing test shows too: what was skipped, which seeds were run.
pub(crate) fn tell(line: &str) {
    // The test harness captures `println!`, but not a write to the stream itself. Where the
    // stream is closed, nobody reads the line.
    let _ = writeln!(std::io::stderr(), "{line}");
}
