//! The least that an engine with durable groups does: it waits and wakes as Retold's writer does,
//! and writes as many bytes over a file that was written before. No checks, no index, no reading.

use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use session::{Event, Target};
use tokio::sync::oneshot;

/// Bytes of an event with its ids and its place.
const EVENT_BYTES: usize = 300;

/// What is written begins and ends at a multiple of this.
const BLOCK_BYTES: usize = 4096;

/// Length of the file, which is written again and again.
const FILE_BYTES: usize = 256 * 1024 * 1024;

/// Bytes that are written at once while the file is made, and that a group has at most.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A call that waits: how many events it has, and whom to wake.
struct Waiting {
    events: usize,
    reply: oneshot::Sender<Result<(), String>>,
}

pub(crate) struct Null {
    calls: Sender<Waiting>,
    writer: JoinHandle<()>,
}

impl Target for Null {
    type Call = usize;
    type Subscriber = Infallible;

    async fn open(folder: &Path) -> anyhow::Result<Null> {
        let path = folder.join("null");
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let file = options.open(path).context("make a file")?;
        let written = file.metadata().context("look at a file")?.len() as usize;
        for offset in (written..FILE_BYTES).step_by(GROUP_BYTES_MAX) {
            file.write_all_at(&[0x5a; GROUP_BYTES_MAX], offset as u64)
                .context("fill a file")?;
        }
        file.sync_all().context("fill a file")?;
        let (calls, waiting) = channel();
        let writer = std::thread::spawn(move || write(&file, &waiting));
        Ok(Null { calls, writer })
    }

    async fn close(self) -> anyhow::Result<()> {
        drop(self.calls);
        self.writer
            .join()
            .map_err(|_| anyhow!("wait for the writer"))
    }

    async fn version(&self) -> anyhow::Result<String> {
        Ok("-".to_owned())
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<usize> {
        Ok(events.len())
    }

    async fn append(&self, _appender: usize, events: usize) -> anyhow::Result<()> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { events, reply };
        self.calls.send(waiting).context("reach the writer")?;
        answer.await?.map_err(|error| anyhow!(error))
    }
}

/// Writes what waits, and wakes who waited, until nobody is left.
fn write(file: &File, waiting: &Receiver<Waiting>) {
    let bytes = vec![0xa5; GROUP_BYTES_MAX];
    let mut offset = 0;
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter());
        let events: usize = group.iter().map(|waiting| waiting.events).sum();
        let length = (events * EVENT_BYTES)
            .next_multiple_of(BLOCK_BYTES)
            .min(GROUP_BYTES_MAX);
        if offset + length > FILE_BYTES {
            offset = 0;
        }
        let written = file
            .write_all_at(&bytes[..length], offset as u64)
            .and_then(|()| file.sync_data())
            .map_err(|error| error.to_string());
        offset += length;
        for Waiting { reply, .. } in group {
            // Who no longer waits needs no answer.
            let _ = reply.send(written.clone());
        }
    }
}
