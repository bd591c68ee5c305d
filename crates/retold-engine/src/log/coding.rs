//! How numbers, texts and ids are written, and read back without trusting any length.

use retold_core::Timestamp;
use uuid::Uuid;

/// An id: a UUID in its usual spelling takes 16 bytes instead of 36.
#[derive(Clone, Copy)]
pub(crate) enum IdView<'a> {
    Uuid([u8; 16]),
    Text(&'a [u8]),
}

/// Seven bits a byte, low ones first, the high bit where more follow (LEB128).
pub(crate) fn put_number(buffer: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        buffer.push(number as u8 | 0x80);
        number >>= 7;
    }
    buffer.push(number as u8);
}

pub(crate) fn put_text(buffer: &mut Vec<u8>, text: &str) {
    put_number(buffer, text.len() as u64);
    buffer.extend_from_slice(text.as_bytes());
}

/// Twice the length, plus one for a UUID, then the bytes.
pub(crate) fn put_id(buffer: &mut Vec<u8>, text: &str) {
    match uuid_in_usual_spelling(text) {
        Some(uuid) => {
            put_number(buffer, 16 << 1 | 1);
            buffer.extend_from_slice(uuid.as_bytes());
        }
        None => {
            put_number(buffer, (text.len() as u64) << 1);
            buffer.extend_from_slice(text.as_bytes());
        }
    }
}

fn uuid_in_usual_spelling(text: &str) -> Option<Uuid> {
    const LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;
    if text.len() != LENGTH {
        return None;
    }
    let uuid = Uuid::try_parse(text).ok()?;
    let mut spelled = [0; LENGTH];
    (uuid.hyphenated().encode_lower(&mut spelled) == text).then_some(uuid)
}

/// What is left to decode. Every step says none where the bytes run out: nothing is allocated
/// from a length that was not checked against what is there.
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl<'a> Rest<'a> {
    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        // Most are lengths of one byte.
        match *self.0 {
            [byte @ 0..0x80, ref rest @ ..] => {
                self.0 = rest;
                Some(byte.into())
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    #[inline]
    pub(crate) fn timestamp(&mut self) -> Option<Timestamp> {
        let micros = i64::from_le_bytes(array(self.take(8)?));
        Timestamp::from_micros(micros).ok()
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    #[inline]
    pub(crate) fn id(&mut self) -> Option<IdView<'a>> {
        let number = self.number()?;
        let bytes = self.take(usize::try_from(number >> 1).ok()?)?;
        if number & 1 == 0 {
            return Some(IdView::Text(bytes));
        }
        bytes.try_into().ok().map(IdView::Uuid)
    }
}

/// A slice of a known length as an array.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the slice was cut to this length")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(number: u64) {
            let mut buffer = Vec::new();
            put_number(&mut buffer, number);
            assert_eq!(Rest(&buffer).number(), Some(number));
        }
    }
}
