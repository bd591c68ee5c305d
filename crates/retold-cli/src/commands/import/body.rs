//! The body of a request that is read from the file as fast as it is sent, and no faster.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::import::{Event, Item, Items};

/// Events that were read and not sent yet, and so the most that are sent in one piece: about as
/// many as the service appends side by side.
const AHEAD_MAX: usize = 512;

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
                Ok(Item::Event(event)) => (event.line, spell(*event)),
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
    let pieces = stream::unfold((lines, None), |(mut lines, failed)| async {
        if let Some(error) = failed {
            return Some((Err(error), (lines, None)));
        }
        let (piece, failed) = next_piece(&mut lines).await?;
        Some((Ok(piece), (lines, failed)))
    });
    // A service that refuses a body looks behind its end.
    Body::from_stream(pieces.fuse())
}

/// All lines that are at hand, in one piece, and what ended them: what comes together is synced
/// together. One that has to be waited for is not held back for others.
async fn next_piece(
    lines: &mut mpsc::Receiver<io::Result<Bytes>>,
) -> Option<(Bytes, Option<io::Error>)> {
    let mut at_hand = Vec::new();
    if lines.recv_many(&mut at_hand, AHEAD_MAX).await == 0 {
        return None;
    }
    let mut piece = Vec::new();
    for line in at_hand {
        match line {
            Ok(line) => piece.extend_from_slice(&line),
            Err(error) => return Some((piece.into(), Some(error))),
        }
    }
    Some((piece.into(), None))
}
