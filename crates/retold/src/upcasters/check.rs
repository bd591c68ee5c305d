//! Running the upcasters over a whole log, to learn before a release what they would fail on.

use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{Entry, Filter, LogQuery, Position, RecordedEvent, SequenceNumber, StreamId};

use super::EventVersion;
use crate::error::panic_text;
use crate::{BoxError, Error, Retold};

/// How many failures are kept unless told otherwise: more than a person reads, and little memory.
/// All of them are counted.
pub const FAILURES_KEPT_DEFAULT: usize = 1_000;

/// Events read at a time.
const BATCH: usize = 512;

type Also = Box<dyn Fn(&RecordedEvent) -> Result<(), BoxError> + Send>;
type OnProgress = Box<dyn FnMut(&UpcastersReport) + Send>;

/// A check of the upcasters over the log, to be awaited: [`Retold::check_upcasters`].
#[must_use = "nothing is checked until it is awaited"]
pub struct CheckUpcasters {
    retold: Retold,
    after: Position,
    failures_kept: usize,
    also: Option<Also>,
    on_progress: Option<OnProgress>,
}

/// What a check of the upcasters came to, or has come to so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct UpcastersReport {
    /// How many events were read.
    pub events: u64,
    /// How many of them upcasters turned into something else.
    pub upcasted: u64,
    /// How many failed.
    pub failed: u64,
    /// The first of those that failed, by position.
    pub failures: Vec<UpcasterFailure>,
    /// How many places were lost to damage that an operator has accepted.
    pub lost: u64,
    /// Everything at or before this position was checked.
    pub complete_through: Position,
    /// Where the log ended when the check began; it goes no further.
    pub head: Position,
}

/// An event that could not be upcasted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpcasterFailure {
    /// Its place in the log.
    pub position: Position,
    /// The stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub sequence_number: SequenceNumber,
    /// What was written.
    pub event: EventVersion,
    /// Why.
    pub reason: String,
}

impl CheckUpcasters {
    pub(crate) fn new(retold: Retold) -> CheckUpcasters {
        CheckUpcasters {
            retold,
            after: 0,
            failures_kept: FAILURES_KEPT_DEFAULT,
            also: None,
            on_progress: None,
        }
    }

    /// Begins behind a position, such as where an earlier check ended.
    pub fn after(mut self, position: Position) -> Self {
        self.after = position;
        self
    }

    /// Keeps at most so many failures; [`FAILURES_KEPT_DEFAULT`] unless told otherwise.
    pub fn failures_kept(mut self, failures: usize) -> Self {
        self.failures_kept = failures;
        self
    }

    /// Also runs this on each event as it is after upcasting: usually whether today's type can
    /// be read from it.
    pub fn also<F>(mut self, check: F) -> Self
    where
        F: Fn(&RecordedEvent) -> Result<(), BoxError> + Send + 'static,
    {
        self.also = Some(Box::new(check));
        self
    }

    /// Calls this now and then with how far it is.
    pub fn on_progress(
        mut self,
        on_progress: impl FnMut(&UpcastersReport) + Send + 'static,
    ) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    async fn run(mut self) -> Result<UpcastersReport, Error> {
        let store = self.retold.store().clone();
        let mut report = UpcastersReport {
            complete_through: self.after,
            head: store.head().await?.position,
            ..UpcastersReport::default()
        };
        while report.complete_through < report.head {
            let mut query = LogQuery::after(report.complete_through)
                .filter(Filter::default())
                .limit(BATCH);
            query.through = report.head;
            let page = store.read_log(query).await?;
            for entry in page.entries {
                match entry {
                    Entry::Event(event) => self.check(&event, &mut report),
                    Entry::Lost(_) => report.lost += 1,
                }
            }
            report.complete_through = page.complete_through;
            if let Some(on_progress) = &mut self.on_progress {
                on_progress(&report);
            }
        }
        Ok(report)
    }

    fn check(&self, event: &RecordedEvent, report: &mut UpcastersReport) {
        report.events += 1;
        // The functions are the application's and share nothing with what goes on after them; a
        // panic is one more way to fail.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.try_event(event)));
        let reason = match outcome {
            Ok(Ok(is_upcasted)) => {
                report.upcasted += u64::from(is_upcasted);
                return;
            }
            Ok(Err(reason)) => reason,
            Err(panic) => format!("panicked: {}", panic_text(&*panic)),
        };
        report.failed += 1;
        if report.failures.len() < self.failures_kept {
            report.failures.push(UpcasterFailure {
                position: event.position,
                stream: event.stream.detached(),
                sequence_number: event.sequence_number,
                event: EventVersion::new(&*event.event_type, &*event.metadata.version),
                reason,
            });
        }
    }

    /// Whether the event was turned into something else.
    fn try_event(&self, event: &RecordedEvent) -> Result<bool, String> {
        let upcasters = &self.retold.inner().upcasters;
        let upcasted = upcasters.try_upcast(event).map_err(|e| e.to_string())?;
        if let Some(also) = &self.also {
            for event in upcasted.iter() {
                also(event).map_err(|error| error.to_string())?;
            }
        }
        Ok(matches!(upcasted, std::borrow::Cow::Owned(_)))
    }
}

impl IntoFuture for CheckUpcasters {
    type Output = Result<UpcastersReport, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
