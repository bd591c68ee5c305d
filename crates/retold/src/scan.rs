//! Going through the log as fast as it can be read.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use retold_core::{Error, EventStore, LogBlock, Position};

/// A block that is being read.
type Reading = Pin<Box<dyn Future<Output = Result<Box<dyn LogBlock>, Error>> + Send>>;

/// Reads a log block by block; while one is looked at, the next ones are read.
///
/// ```
/// # use retold::{EntryRef, Json, NewEvent, Retold, StreamId};
/// # #[tokio::main]
/// # async fn main() -> Result<(), retold::Error> {
/// # let retold = Retold::open("memory:").await?;
/// # let issue = StreamId::new("Issue", "42")?;
/// # retold.append([NewEvent::new(issue, "issue.opened", &1)?]).await?;
/// let mut scan = retold.scan(0);
/// let mut opened = 0;
/// while let Some(block) = scan.next().await? {
///     for nth in 0..block.len() {
///         if let EntryRef::Event(event) = block.entry(nth)? {
///             opened += usize::from(event.event_type == "issue.opened");
///         }
///     }
/// }
/// assert_eq!(opened, 1);
/// # Ok(())
/// # }
/// ```
pub struct LogScan {
    store: Arc<dyn EventStore>,
    after: Position,
    through: Position,
    /// Blocks that are being read, each behind a position.
    ahead: VecDeque<(Position, Reading)>,
    /// Bytes of the block that came last.
    block_bytes: usize,
}

/// Blocks read ahead of the one that is looked at.
const AHEAD: usize = 2;

impl LogScan {
    /// Reads what stands behind a position, to the end of the log.
    pub fn new(store: Arc<dyn EventStore>, after: Position) -> LogScan {
        LogScan {
            store,
            after,
            through: Position::MAX,
            ahead: VecDeque::new(),
            block_bytes: 0,
        }
    }

    /// Reads no further than this.
    pub fn through(mut self, position: Position) -> LogScan {
        self.through = position;
        self.ahead.clear();
        self
    }

    /// The next block; none at the end. Events that are appended later may be asked for again.
    ///
    /// # Errors
    /// As [`EventStore::read_log`]. What failed is asked for again the next time.
    pub async fn next(&mut self) -> Result<Option<Box<dyn LogBlock>>, Error> {
        let block = match self.read_ahead().await {
            Some(block) => block,
            None => self.read(self.after).await?,
        };
        if block.len() == 0 {
            self.ahead.clear();
            return Ok(None);
        }
        self.after = block.complete_through();
        self.block_bytes = block.bytes();
        self.look_ahead(block.len() as Position);
        Ok(Some(block))
    }

    /// Bytes of memory that what is read ahead takes, as if its blocks were as large as the one
    /// that came last.
    pub fn bytes_ahead(&self) -> usize {
        self.ahead.len() * self.block_bytes
    }

    /// Gives up what is read ahead: for whoever has to wait before asking for more. The next block
    /// is read when it is asked for.
    pub fn forget_ahead(&mut self) {
        self.ahead.clear();
    }

    /// The block behind `after`, where it was read ahead. What failed then is asked for anew:
    /// the log may not have been so long.
    async fn read_ahead(&mut self) -> Option<Box<dyn LogBlock>> {
        let (after, reading) = self.ahead.pop_front()?;
        if after != self.after {
            self.ahead.clear();
            return None;
        }
        let block = reading.await.ok()?;
        (block.len() > 0).then_some(block)
    }

    /// Begins to read the next blocks, as if each had so many entries.
    fn look_ahead(&mut self, entries: Position) {
        let mut after = self.after;
        for nth in 0..AHEAD {
            if after >= self.through {
                break;
            }
            match self.ahead.get(nth) {
                Some((known, _)) if *known == after => {}
                _ => {
                    self.ahead.truncate(nth);
                    let mut reading = self.read(after);
                    // Asked once, a store begins to read, where it does so on another thread.
                    let asked = reading
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()));
                    if let Poll::Ready(read) = asked {
                        reading = Box::pin(std::future::ready(read));
                    }
                    self.ahead.push_back((after, reading));
                }
            }
            after = after.saturating_add(entries);
        }
    }

    fn read(&self, after: Position) -> Reading {
        let (store, through) = (Arc::clone(&self.store), self.through);
        Box::pin(async move { store.read_block(after, through).await })
    }
}
