//! The one time type: an instant in whole microseconds, written as RFC 3339 in UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in whole microseconds since 1970-01-01T00:00:00Z, between the years 0000 and 9999.
///
/// Finer digits are cut off, never rounded: `…59.9999999Z` becomes `…59.999999Z`.
///
/// ```
/// let instant: retold_core::Timestamp = "2024-01-01T12:00:00.1234567+02:00".parse()?;
/// assert_eq!(instant.to_string(), "2024-01-01T10:00:00.123456Z");
/// assert_eq!("2024-01-01".parse::<retold_core::Timestamp>()?.to_string(), "2024-01-01T00:00:00Z");
/// # Ok::<(), retold_core::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text or a number is not a [`Timestamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an instant between the years 0000 and 9999: {0:?} (write it like 2024-01-31T12:00:00Z, with an offset)"
)]
pub struct TimestampError(String);

impl Timestamp {
    /// 0000-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp(-62_167_219_200_000_000);
    /// 9999-12-30T21:59:59.999999Z, the last microsecond that every offset can write.
    pub const MAX: Timestamp = Timestamp(253_402_207_199_999_999);

    /// The instant that many microseconds after 1970-01-01T00:00:00Z.
    pub fn from_micros(micros: i64) -> Result<Timestamp, TimestampError> {
        let instant = Timestamp(micros);
        if (Self::MIN..=Self::MAX).contains(&instant) {
            Ok(instant)
        } else {
            Err(TimestampError(format!("{micros} microseconds")))
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The instant now, as the system's clock has it.
    pub fn now() -> Timestamp {
        Timestamp::from(jiff::Timestamp::now())
    }

    /// This instant moved by so many microseconds, kept within [`Timestamp::MIN`] and
    /// [`Timestamp::MAX`].
    pub fn saturating_add_micros(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros)).clamp(Self::MIN, Self::MAX)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    /// Cuts off what is finer than a microsecond.
    fn from(instant: jiff::Timestamp) -> Self {
        let micros = instant.as_nanosecond().div_euclid(1_000);
        let micros = i64::try_from(micros).expect("jiff's years -9999 to 9999 fit 64 bits");
        Timestamp(micros).clamp(Self::MIN, Self::MAX)
    }
}

impl From<Timestamp> for jiff::Timestamp {
    fn from(instant: Timestamp) -> Self {
        jiff::Timestamp::from_microsecond(instant.0).expect("our range lies inside jiff's")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads an RFC 3339 instant with an offset, or a bare date, which means 00:00Z.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || TimestampError(text.chars().take(64).collect());
        if text.starts_with(['-', '+']) {
            return Err(refuse());
        }
        let instant = match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant,
            Err(_) if text.len() == "2024-01-01".len() => text
                .parse::<jiff::civil::Date>()
                .and_then(|date| jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)))
                .map_err(|_| refuse())?,
            Err(_) => return Err(refuse()),
        };
        let micros = instant.as_nanosecond().div_euclid(1_000);
        i64::try_from(micros)
            .ok()
            .and_then(|micros| Timestamp::from_micros(micros).ok())
            .ok_or_else(refuse)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        jiff::Timestamp::from(*self).fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finer_digits_are_cut_off_also_before_1970() {
        let before: Timestamp = "1969-12-31T23:59:59.9999999Z".parse().unwrap();
        assert_eq!(before.as_micros(), -1);
        let after: Timestamp = "1970-01-01T00:00:00.0000019Z".parse().unwrap();
        assert_eq!(after.as_micros(), 1);
    }

    #[test]
    fn an_instant_needs_an_offset_and_four_digits_of_year() {
        for text in [
            "",
            "2024-01-01T00:00:00",
            "yesterday",
            "-009999-01-01T00:00:00Z",
            "+002024-01-01T00:00:00Z",
            "2024-13-01",
            "2024-02-30",
            "20240101T000000",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn the_ends_of_the_range_can_be_written_and_read() {
        for instant in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(instant.to_string().parse(), Ok(instant));
        }
        assert!(Timestamp::from_micros(Timestamp::MAX.as_micros() + 1).is_err());
        assert!(Timestamp::from_micros(Timestamp::MIN.as_micros() - 1).is_err());
    }
}
