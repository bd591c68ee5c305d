//! The body of a request that is read from the file as fast as it is sent, and no faster.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::import::{Event, Item, Items};

/// Events that were read and not sent yet.
const AHEAD_MAX: usize = 256;

/// What the reading side tells the sending one.
#[derive(Default)]
pub(super) struct Reading {
    /// The lines that were sent and not answered yet, in order.
    pub(super) sent: VecDeque<u64>,
    pub(super) refused: Vec<(u64, String)>,
    /// Events of Retold's own streams, which are not appended.
    pub(super) passed_over: u64,
    pub(super) failed: Option<anyhow::Error>,
}

/// What both sides share.
pub(super) type Shared = Arc<Mutex<Reading>>;

pub(super) fn lock(reading: &Mutex<Reading>) -> std::sync::MutexGuard<'_, Reading> {
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a line that cannot be sent does to those behind it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refused {
    /// Nothing.
    PassOver,
    /// They are not sent.
    End,
    /// They are not sent, and the service must not take what was for the whole.
    Break,
}

/// How an event is sent.
pub(super) enum Sent {
    Line(String),
    Refused(String),
    PassedOver,
}

/// A body with what `spell` makes of each event.
pub(super) fn body(
    items: Items,
    reading: Shared,
    refused: Refused,
    spell: impl Fn(Event) -> anyhow::Result<Sent> + Send + 'static,
) -> Body {
    let (sending, lines) = mpsc::channel::<io::Result<Bytes>>(AHEAD_MAX);
    // Files are read, and perhaps decompressed, where no request waits for it.
    tokio::task::spawn_blocking(move || {
        for item in items {
            let (line, sent) = match item {
                Ok(Item::Event(event)) => (event.line, spell(event)),
                Ok(Item::Refused { line, reason }) => (line, Ok(Sent::Refused(reason))),
                Err(error) => (0, Err(error)),
            };
            match sent {
                Ok(Sent::Line(mut text)) => {
                    lock(&reading).sent.push_back(line);
                    text.push('\n');
                    if sending.blocking_send(Ok(text.into())).is_err() {
                        return;
                    }
                }
                Ok(Sent::PassedOver) => lock(&reading).passed_over += 1,
                Ok(Sent::Refused(reason)) => {
                    lock(&reading).refused.push((line, reason));
                    match refused {
                        Refused::PassOver => {}
                        Refused::End => return,
                        Refused::Break => {
                            let broken = io::Error::other("a line was refused");
                            let _ = sending.blocking_send(Err(broken));
                            return;
                        }
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    lock(&reading).failed = Some(error);
                    let _ = sending.blocking_send(Err(io::Error::other(text)));
                    return;
                }
            }
        }
    });
    let lines = stream::unfold(lines, |mut lines| async {
        lines.recv().await.map(|line| (line, lines))
    });
    // A service that refuses a body looks behind its end.
    Body::from_stream(lines.fuse())
}
