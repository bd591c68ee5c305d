//! Where the bytes come from: counted for whoever shows progress, unpacked where they are
//! packed with gzip, and with the mark of their encoding looked at and taken off.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::error::Cause;
use super::limits::READ_BUFFER_BYTES;

/// What the readers of the formats read.
pub(super) type Input = Box<dyn BufRead + Send>;

/// How many bytes of a file have been read. Clones show the same.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
}

impl Progress {
    pub(super) fn new(bytes_total: Option<u64>) -> Progress {
        Progress {
            bytes_read: Arc::default(),
            bytes_total,
        }
    }

    /// The bytes read so far, packed as they are in the file.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The length of the file; none for what has no length, such as a pipe.
    pub(crate) fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }
}

/// The first bytes of a gzip member (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads `input`, unpacked if its first bytes say that it is packed, whatever it is called.
pub(super) fn read(
    input: impl Read + Send + 'static,
    is_named_gzip: bool,
    progress: &Progress,
) -> Result<Input, Cause> {
    let counted = Counted {
        input,
        bytes_read: progress.bytes_read.clone(),
    };
    let (start, packed) = peek(counted, GZIP_MAGIC.len())?;
    let packed = BufReader::with_capacity(READ_BUFFER_BYTES, packed);
    if start == GZIP_MAGIC {
        return without_mark(Unpacked(MultiGzDecoder::new(packed)));
    }
    if is_named_gzip {
        let reason = "it is called .gz, but is not packed with gzip";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason).into());
    }
    without_mark(packed)
}

/// Takes off the byte order mark of UTF-8, and refuses UTF-16.
fn without_mark(input: impl Read + Send + 'static) -> Result<Input, Cause> {
    const UTF_8: [u8; 3] = [0xef, 0xbb, 0xbf];
    let (start, mut input) = peek(input, UTF_8.len())?;
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Err(Cause::malformed(
            1,
            "it is written in UTF-16; convert it to UTF-8, as with `iconv -f UTF-16`",
        ));
    }
    if start == UTF_8 {
        input.read_exact(&mut [0; UTF_8.len()])?;
    }
    Ok(Box::new(BufReader::with_capacity(READ_BUFFER_BYTES, input)))
}

/// The first bytes of `input`, and an input that still begins with them.
fn peek<R: Read>(mut input: R, bytes: usize) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    let mut start = Vec::with_capacity(bytes);
    input.by_ref().take(bytes as u64).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(input)))
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Says of an error in packed data that it is one.
struct Unpacked<R>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "its gzip data break off; the file is not complete",
            ),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                io::Error::new(error.kind(), format!("its gzip data are damaged ({error})"))
            }
            _ => error,
        })
    }
}
