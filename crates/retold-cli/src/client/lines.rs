//! The lines of an answer that comes bit by bit.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;

use super::Failure;

/// Bytes of one line: an event of 960 KiB with its metadata, every byte of it escaped.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Reads a body line by line.
pub(crate) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// What of the buffer was given out already.
    read: usize,
    /// What of the buffer was searched for an end of line already.
    searched: usize,
}

impl Lines {
    pub(crate) fn new(body: Body) -> Lines {
        Lines {
            body,
            buffer: Vec::new(),
            read: 0,
            searched: 0,
        }
    }

    /// The next line without its end; none behind the last. A piece without an end of line at
    /// the end of the body counts as a line.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            let unsearched = &self.buffer[self.searched..];
            if let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') {
                let end = self.searched + at;
                let line = self.buffer[self.read..end].strip_suffix(b"\r");
                let line = line.unwrap_or(&self.buffer[self.read..end]);
                let line = Bytes::copy_from_slice(line);
                self.read = end + 1;
                self.searched = self.read;
                return Ok(Some(line));
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            self.searched = self.buffer.len();
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(Failure::broken(&"a line is longer than any event").into());
            }
            let Some(frame) = self.body.frame().await else {
                let rest = std::mem::take(&mut self.buffer);
                self.searched = 0;
                return Ok((!rest.is_empty()).then(|| rest.into()));
            };
            let frame = frame.map_err(|error| Failure::broken(&error))?;
            if let Some(bytes) = frame.data_ref() {
                self.buffer.extend_from_slice(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn lines_are_put_together_from_pieces() {
        let pieces = ["a", "b\nc", "\r\n", "\n", "d"].map(Ok::<_, std::io::Error>);
        let mut lines = Lines::new(Body::from_stream(stream::iter(pieces)));
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(String::from_utf8(line.to_vec()).unwrap());
        }
        assert_eq!(read, ["ab", "c", "", "d"]);
    }
}
