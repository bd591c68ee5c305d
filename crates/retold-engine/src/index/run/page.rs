//! Pages: what a run is read in. Each ends with a checksum that is bound to the log, to the
//! stretch of its history that the run covers, and to its number.

use retold_core::Timestamp;

use super::header::Header;
use crate::disk::File;
use crate::index::part::Block;
use crate::log::coding::array;
use crate::planted::{self, Bug};

/// The smallest page: it has room for the header and for the longest name of a stream.
pub(crate) const PAGE_BYTES_MIN: u16 = 1024;

/// The largest page.
pub(crate) const PAGE_BYTES_MAX: u16 = 32 * 1024;

/// Bytes of the checksum at the end of a page.
pub(crate) const CHECKSUM_BYTES: usize = 4;

/// A page whose checksum fits.
#[derive(Clone)]
pub(crate) struct Page(bytes::Bytes);

impl Page {
    /// What the page holds, without its checksum.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.0[..self.0.len() - CHECKSUM_BYTES]
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Ends a page, whose payload stands in `page` already, with its checksum.
pub(crate) fn seal(page: &mut [u8], binding: u32, number: u32) {
    let (payload, checksum) = page.split_at_mut(page.len() - CHECKSUM_BYTES);
    checksum.copy_from_slice(&of(payload, binding, number).to_le_bytes());
}

/// What a page is read and checked by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    bytes: usize,
    binding: u32,
}

impl Shape {
    pub(super) fn of(header: &Header) -> Shape {
        Shape {
            bytes: usize::from(header.page_bytes),
            binding: header.binding(),
        }
    }
}

/// Reads pages that lie side by side; says what is wrong where one does not fit.
pub(super) fn read(
    file: &dyn File,
    shape: Shape,
    first: u32,
    count: u32,
) -> Result<Vec<Page>, &'static str> {
    let mut bytes = vec![0; shape.bytes * count as usize];
    let offset = u64::from(first) * shape.bytes as u64;
    match file.read_at(&mut bytes, offset) {
        Ok(filled) if filled == bytes.len() => checked(bytes, shape, first),
        Ok(_) => Err("it is shorter than it was"),
        Err(_) => Err("it cannot be read"),
    }
}

/// Reads a page that the system still has in memory; none where it has not, or where the page
/// does not fit.
pub(super) fn read_at_once(file: &dyn File, shape: Shape, number: u32) -> Option<Page> {
    let mut bytes = vec![0; shape.bytes];
    let offset = u64::from(number) * shape.bytes as u64;
    let is_read = file.read_at_once(&mut bytes, offset);
    let pages = is_read.then(|| checked(bytes, shape, number));
    pages?.ok()?.pop()
}

/// Pages that lie side by side, from the first on.
fn checked(bytes: Vec<u8>, shape: Shape, first: u32) -> Result<Vec<Page>, &'static str> {
    let page_bytes = shape.bytes;
    let fits = |(page, number): (&[u8], u32)| {
        let (payload, checksum) = page.split_at(page_bytes - CHECKSUM_BYTES);
        planted::is(Bug::PageChecksumIgnored)
            || of(payload, shape.binding, number) == u32::from_le_bytes(array(checksum))
    };
    if !bytes.chunks_exact(page_bytes).zip(first..).all(fits) {
        return Err("a page does not fit its checksum");
    }
    let bytes = bytes::Bytes::from(bytes);
    let pages = (0..bytes.len()).step_by(page_bytes);
    Ok(pages
        .map(|from| Page(bytes.slice(from..from + page_bytes)))
        .collect())
}

fn of(payload: &[u8], binding: u32, number: u32) -> u32 {
    let bound = crc32c::crc32c_append(binding, &number.to_le_bytes());
    crc32c::crc32c_append(bound, payload)
}

/// Bytes of a block: four instants.
pub(crate) const BLOCK_BYTES: usize = 32;

pub(crate) fn encode_block(block: &Block) -> [u8; BLOCK_BYTES] {
    let instants = [
        block.earliest,
        block.latest,
        block.first_persisted_at,
        block.last_persisted_at,
    ];
    let mut bytes = [0; BLOCK_BYTES];
    for (place, instant) in bytes.chunks_exact_mut(8).zip(instants) {
        place.copy_from_slice(&instant.as_micros().to_le_bytes());
    }
    bytes
}

/// The block; none where an instant is out of range.
pub(crate) fn decode_block(bytes: &[u8]) -> Option<Block> {
    let instant = |at: usize| {
        let micros = i64::from_le_bytes(array(bytes.get(at..at + 8)?));
        Timestamp::from_micros(micros).ok()
    };
    Some(Block {
        earliest: instant(0)?,
        latest: instant(8)?,
        first_persisted_at: instant(16)?,
        last_persisted_at: instant(24)?,
    })
}
