//! What a store brings to be measured. Everything that is a matter of the workload or the clock
//! is left to the session.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use uuid::Uuid;

use crate::event::Event;

/// A store, opened on a folder of its own: in this process, or a server that it started. What it
/// does not offer it leaves as it is here.
pub trait Target: Send + Sync + Sized + 'static {
    /// A call in the store's own form.
    type Call: Send;

    /// What receives new events.
    type Subscriber: Subscriber;

    /// Events of a call at most; points with more are not offered.
    const EVENTS_MAX: usize = usize::MAX;

    /// Opens the store, or starts its server, on a folder that may hold it already.
    fn open(folder: &Path) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// Closes it, or stops its server: everything is at rest then.
    fn close(self) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// The version that it tells of itself.
    fn version(&self) -> impl Future<Output = anyhow::Result<String>> + Send;

    /// Puts events into the store's own form, before the clock runs.
    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Self::Call>;

    /// Appends; durable when it returns. Which appender asks may choose a connection.
    fn append(
        &self,
        appender: usize,
        call: Self::Call,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Puts events into the form in which the store takes many batches.
    fn prepare_bulk(&self, events: Vec<Event>) -> anyhow::Result<Self::Call> {
        self.prepare(events)
    }

    /// Appends many batches; all are durable when it returns. Call after call, where the store has
    /// no better way.
    fn bulk(
        &self,
        appender: usize,
        calls: Vec<Self::Call>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        async move {
            for call in calls {
                self.append(appender, call).await?;
            }
            Ok(())
        }
    }

    /// Appends events of many aggregates while the store is filled: durable, but in the way in
    /// which the store takes them best.
    fn load(&self, events: Vec<Event>) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { self.append(0, self.prepare(events)?).await }
    }

    /// Reads the stream of an aggregate; how many events it has.
    fn read_stream(
        &self,
        _aggregate: usize,
    ) -> impl Future<Output = anyhow::Result<Option<u64>>> + Send {
        async { Ok(None) }
    }

    /// Reads the log from its beginning; stops before the end where `log` says so.
    fn read_log(&self, _log: &mut Log) -> impl Future<Output = anyhow::Result<bool>> + Send {
        async { Ok(false) }
    }

    /// Follows the log from its head.
    fn subscribe(&self) -> impl Future<Output = anyhow::Result<Option<Self::Subscriber>>> + Send {
        async { Ok(None) }
    }

    /// What of the process that stores lies in memory.
    fn resident_bytes(&self) -> anyhow::Result<u64> {
        resident_bytes(std::process::id())
    }
}

/// A reader that receives new events.
pub trait Subscriber: Send + 'static {
    /// The ids of the events that came next; waits for them.
    fn next(&mut self) -> impl Future<Output = anyhow::Result<Vec<Uuid>>> + Send;
}

/// For stores that offer no live reading.
impl Subscriber for std::convert::Infallible {
    async fn next(&mut self) -> anyhow::Result<Vec<Uuid>> {
        match *self {}
    }
}

/// Events between two looks at the clock, so that these cost nothing.
const CLOCK_EVERY: u64 = 1_000;

/// How much of a log was read, and whether that is enough.
pub struct Log {
    pub(crate) read: u64,
    pub(crate) wanted: u64,
    pub(crate) until: Instant,
}

impl Log {
    /// Counts events that were read; whether to go on.
    pub fn goes_on(&mut self, events: usize) -> bool {
        let before = self.read / CLOCK_EVERY;
        self.read += events as u64;
        let looks = self.read / CLOCK_EVERY > before;
        self.read < self.wanted && !(looks && Instant::now() >= self.until)
    }
}

/// What of a process lies in memory.
pub fn resident_bytes(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .context("read what the kernel says of a process")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: u64 = kib.context("find the memory of a process")?.parse()?;
    Ok(kib * 1024)
}
