//! Writes recorded events as NDJSON, so that reading them gives the same events again.

use std::io::{self, BufWriter, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use retold::RecordedEvent;

/// Writes one event a line. Nothing is complete before [`finish`](Export::finish).
pub(crate) struct Export<W: Write> {
    output: Output<W>,
    events: u64,
}

enum Output<W: Write> {
    Plain(BufWriter<W>),
    Gzip(GzEncoder<BufWriter<W>>),
}

impl<W: Write> Export<W> {
    /// Writes to `output`, which need not be buffered.
    pub(crate) fn new(output: W) -> Export<W> {
        Export {
            output: Output::Plain(BufWriter::new(output)),
            events: 0,
        }
    }

    /// The same, packed with gzip.
    pub(crate) fn gzip(output: W) -> Export<W> {
        let packed = GzEncoder::new(BufWriter::new(output), Compression::default());
        Export {
            output: Output::Gzip(packed),
            events: 0,
        }
    }

    /// Writes an event.
    ///
    /// # Errors
    /// What the output answers; the export is then not complete.
    pub(crate) fn write(&mut self, event: &RecordedEvent) -> io::Result<()> {
        let output: &mut dyn Write = match &mut self.output {
            Output::Plain(output) => output,
            Output::Gzip(output) => output,
        };
        serde_json::to_writer(&mut *output, event)?;
        output.write_all(b"\n")?;
        self.events += 1;
        Ok(())
    }

    /// The number of events written so far.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Writes what is still buffered, and gives the output back, to be synced.
    ///
    /// # Errors
    /// What the output answers; the export is then not complete.
    pub(crate) fn finish(self) -> io::Result<W> {
        let buffered = match self.output {
            Output::Plain(output) => output,
            Output::Gzip(output) => output.finish()?,
        };
        buffered
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }
}
