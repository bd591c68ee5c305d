//! The least that an engine with durable groups does: it waits and wakes as Retold's writer does,
//! and writes what it is handed, side by side, over a file that was written before. No checks, no
//! index, no reading.

use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use session::{Event, Target};
use tokio::sync::oneshot;

/// Bytes of an event with its ids and its place: what a record of Retold takes.
const EVENT_BYTES: usize = 300;

/// What is written begins and ends at a multiple of this.
const BLOCK_BYTES: usize = 4096;

/// Length of the file, which is written again and again.
const FILE_BYTES: usize = 256 * 1024 * 1024;

/// Bytes that are written at once while the file is made.
const FILL_BYTES: usize = 4 * 1024 * 1024;

/// A call that waits: its bytes, and whom to wake.
struct Waiting {
    bytes: Vec<u8>,
    reply: oneshot::Sender<Result<(), String>>,
}

pub(crate) struct Null {
    calls: Sender<Waiting>,
    writer: JoinHandle<()>,
}

impl Target for Null {
    type Call = Vec<u8>;
    type Subscriber = Infallible;

    async fn open(folder: &Path) -> anyhow::Result<Null> {
        let path = folder.join("null");
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let file = options.open(path).context("make a file")?;
        let written = file.metadata().context("look at a file")?.len() as usize;
        for offset in (written..FILE_BYTES).step_by(FILL_BYTES) {
            file.write_all_at(&[0x5a; FILL_BYTES], offset as u64)
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

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(events.len() * EVENT_BYTES);
        for (before, event) in events.iter().enumerate() {
            bytes.extend(event.event_id.as_bytes());
            bytes.extend(event.correlation_id.as_bytes());
            bytes.extend(event.payload.as_bytes());
            bytes.resize((before + 1) * EVENT_BYTES, 0);
        }
        Ok(bytes)
    }

    async fn append(&self, _appender: usize, bytes: Vec<u8>) -> anyhow::Result<()> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { bytes, reply };
        self.calls.send(waiting).context("reach the writer")?;
        answer.await?.map_err(|error| anyhow!(error))
    }
}

/// Writes what waits, and wakes who waited, until nobody is left.
fn write(file: &File, waiting: &Receiver<Waiting>) {
    let mut bytes = Vec::new();
    let mut offset = 0;
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter());
        bytes.clear();
        for waiting in &group {
            bytes.extend_from_slice(&waiting.bytes);
        }
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        if offset + bytes.len() > FILE_BYTES {
            offset = 0;
        }
        let written = file
            .write_all_at(&bytes, offset as u64)
            .and_then(|()| file.sync_data())
            .map_err(|error| error.to_string());
        offset += bytes.len();
        for Waiting { reply, .. } in group {
            // Who no longer waits needs no answer.
            let _ = reply.send(written.clone());
        }
    }
}
