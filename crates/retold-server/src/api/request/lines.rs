//! The lines of an NDJSON body, as they come in, in bounded memory.

use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use memchr::memchr;

use super::body::next_piece;
use crate::api::answer::Problem;
use crate::api::limits::SMALL_BODY_BYTES_MAX;

/// A line that is not empty, with its number counted from 1.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: u64,
    /// The line without its end; none where it was too long, and thrown away.
    pub(crate) text: Option<Bytes>,
}

/// The lines of a body.
pub(crate) struct Lines {
    pieces: BodyDataStream,
    buffer: BytesMut,
    /// Bytes at the start of the buffer that hold no end of line.
    searched: usize,
    number: u64,
    is_over_long: bool,
    is_ended: bool,
    /// What broke the body off, not told yet: the lines before it come first.
    broken: Option<Problem>,
}

impl Lines {
    /// Reads a body by lines.
    pub(crate) fn new(body: Body) -> Lines {
        Lines {
            pieces: body.into_data_stream(),
            buffer: BytesMut::new(),
            searched: 0,
            number: 0,
            is_over_long: false,
            is_ended: false,
            broken: None,
        }
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    /// A problem where the body breaks off, or nothing comes for too long.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, Problem> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            if let Some(problem) = self.broken.take() {
                return Err(problem);
            }
            if self.is_ended {
                return Ok(None);
            }
            match next_piece(&mut self.pieces).await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => self.is_ended = true,
            }
        }
    }

    /// The next line if it is here already, without waiting for the client.
    pub(crate) fn next_at_hand(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.buffered() {
                return Some(line);
            }
            if self.is_ended || self.broken.is_some() {
                return None;
            }
            match next_piece(&mut self.pieces).now_or_never()? {
                Ok(Some(piece)) => self.buffer.extend_from_slice(&piece),
                Ok(None) => self.is_ended = true,
                Err(problem) => self.broken = Some(problem),
            }
        }
    }

    /// The next line that is not empty, out of the buffer.
    fn buffered(&mut self) -> Option<Line> {
        loop {
            let line = self.cut()?;
            self.number += 1;
            let is_over_long = std::mem::take(&mut self.is_over_long);
            if is_over_long || line.len() > SMALL_BODY_BYTES_MAX {
                return Some(Line {
                    number: self.number,
                    text: None,
                });
            }
            if !line.trim_ascii().is_empty() {
                return Some(Line {
                    number: self.number,
                    text: Some(line),
                });
            }
        }
    }

    /// Everything up to the next end of line, or to the end of the body.
    fn cut(&mut self) -> Option<Bytes> {
        if let Some(end) = memchr(b'\n', &self.buffer[self.searched..]) {
            let line = self.buffer.split_to(self.searched + end);
            self.buffer.advance(1);
            self.searched = 0;
            return Some(line.freeze());
        }
        if self.buffer.len() > SMALL_BODY_BYTES_MAX {
            self.is_over_long = true;
            self.buffer.clear();
        }
        self.searched = self.buffer.len();
        let has_rest = !self.buffer.is_empty() || self.is_over_long;
        if self.is_ended && has_rest {
            self.searched = 0;
            return Some(self.buffer.split().freeze());
        }
        None
    }
}
