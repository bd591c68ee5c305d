//! Room in memory: what the requests of all connections hold together is bounded. Room is taken
//! before memory is, so that too many at once wait for each other instead of exhausting it.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http_body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::{Code, Problem};
use crate::serve::Limits;

/// Room is counted in pieces of this, since permits are counted in 32 bits.
const PIECE_BYTES: usize = 1024;

/// Room for one kind of content. Clones share it.
#[derive(Clone)]
pub(crate) struct Room {
    pieces: Arc<Semaphore>,
    pieces_max: u32,
    patience: Duration,
}

/// The rooms of a service.
pub(crate) struct Rooms {
    /// For what is being received.
    pub(crate) bodies: Room,
    /// For what is read and written to be answered, until the client has taken it.
    pub(crate) answers: Room,
}

impl Rooms {
    pub(crate) fn new(limits: &Limits) -> Rooms {
        Rooms {
            bodies: Room::new(limits.bodies_bytes, limits.room_wait),
            answers: Room::new(limits.answers_bytes, limits.room_wait),
        }
    }
}

impl Room {
    fn new(bytes: usize, patience: Duration) -> Room {
        let pieces_max = u32::try_from(bytes / PIECE_BYTES).unwrap_or(u32::MAX);
        Room {
            pieces: Arc::new(Semaphore::new(pieces_max as usize)),
            pieces_max,
            patience,
        }
    }

    /// Takes room for a request of which nothing was done yet.
    ///
    /// # Errors
    /// `busy` when there is none for too long.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Taken, Problem> {
        match tokio::time::timeout(self.patience, self.wait(bytes)).await {
            Ok(taken) => Ok(taken),
            Err(_) => Err(Problem::new(
                Code::Busy,
                "find room for the request: too many are at work at once; nothing was written",
            )),
        }
    }

    /// Takes room, however long that takes: whoever has it and does not go on is ended by the
    /// limits of its connection. What is larger than all of the room takes all of it.
    pub(crate) async fn wait(&self, bytes: usize) -> Taken {
        let pieces = self.pieces_of(bytes);
        let permit = Arc::clone(&self.pieces).acquire_many_owned(pieces).await;
        Taken(permit.expect("the semaphore of a room is never closed"))
    }

    /// Bytes that are taken.
    pub(crate) fn taken_bytes(&self) -> usize {
        (self.pieces_max as usize - self.pieces.available_permits()) * PIECE_BYTES
    }

    fn pieces_of(&self, bytes: usize) -> u32 {
        let pieces = u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
        pieces.min(self.pieces_max)
    }
}

/// Room that is given back when this is dropped.
#[must_use = "the room is given back at once"]
pub(crate) struct Taken(OwnedSemaphorePermit);

impl Taken {
    /// Gives back what is over so many bytes.
    pub(crate) fn keep(&mut self, bytes: usize) {
        let over = self
            .0
            .num_permits()
            .saturating_sub(bytes.div_ceil(PIECE_BYTES));
        drop(self.0.split(over));
    }

    /// Lets an answer bring the room that it was made in: what is over its size is given back
    /// now, the rest by the server once it is sent.
    pub(crate) fn brought_by(mut self, mut response: Response) -> Response {
        let size = response.body().size_hint().exact().unwrap_or(0);
        self.keep(usize::try_from(size).unwrap_or(usize::MAX));
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_and_is_then_told_to_come_again() {
        let room = Room::new(10 * PIECE_BYTES, Duration::from_secs(5));
        let mut first = room.take(8 * PIECE_BYTES).await.unwrap();
        assert_eq!(room.taken_bytes(), 8 * PIECE_BYTES);
        let refused = room.take(3 * PIECE_BYTES).await.map(|_| ());
        assert_eq!(refused.unwrap_err().code, Code::Busy);
        first.keep(PIECE_BYTES + 1);
        assert_eq!(room.taken_bytes(), 2 * PIECE_BYTES);
        let second = room.take(8 * PIECE_BYTES).await.unwrap();
        drop((first, second));
        assert_eq!(room.taken_bytes(), 0);
    }

    #[tokio::test]
    async fn what_is_larger_than_the_room_takes_all_of_it() {
        let room = Room::new(10 * PIECE_BYTES, Duration::ZERO);
        let taken = room.wait(usize::MAX).await;
        assert_eq!(room.taken_bytes(), 10 * PIECE_BYTES);
        drop(taken);
    }
}
