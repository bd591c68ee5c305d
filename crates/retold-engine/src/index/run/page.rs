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

/// Reads pages that lie side by side; says what is wrong where one does not fit.
pub(crate) fn read(
    file: &dyn File,
    header: &Header,
    first: u32,
    count: u32,
) -> Result<Vec<Page>, &'static str> {
    let page_bytes = usize::from(header.page_bytes);
    let mut bytes = vec![0; page_bytes * count as usize];
    let offset = u64::from(first) * page_bytes as u64;
    match file.read_at(&mut bytes, offset) {
        Ok(filled) if filled == bytes.len() => {}
        Ok(_) => return Err("it is shorter than it was"),
        Err(_) => return Err("it cannot be read"),
    }
    let binding = header.binding();
    let fits = |(page, number): (&[u8], u32)| {
        let (payload, checksum) = page.split_at(page_bytes - CHECKSUM_BYTES);
        planted::is(Bug::PageChecksumIgnored)
            || of(payload, binding, number) == u32::from_le_bytes(array(checksum))
    };
    if !bytes.chunks_exact(page_bytes).zip(first..).all(fits) {
        return Err("a page does not fit its checksum");
    }
    let bytes = bytes::Bytes::from(bytes);
    let pages = (0..count as usize).map(|nth| nth * page_bytes);
    if count == 1 {
        return Ok(vec![Page(bytes)]);
    }
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
