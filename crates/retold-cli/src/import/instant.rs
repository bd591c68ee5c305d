//! Instants as logs write them: RFC 3339, its relatives in ISO 8601, or a form that the caller
//! describes; with an offset, or with the one that the caller names for all that lack it.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;
use retold::Timestamp;

use super::Options;
use super::error::{LineError, shown};

/// Reads instants as the options say.
pub(super) struct Instants {
    offset: Option<Offset>,
    format: Option<String>,
}

/// What is said of an instant that could be any of 24 and more.
const OFFSET_MISSING: &str = "it has no offset; say with --offset which one is meant, such as Z";

impl Instants {
    pub(super) fn new(options: &Options) -> Instants {
        Instants {
            offset: options.offset,
            format: options.time_format.clone(),
        }
    }

    /// Reads `text`, which the column or attribute `name` holds.
    pub(super) fn read(&self, name: &str, text: &str) -> Result<Timestamp, LineError> {
        let read = match &self.format {
            Some(format) => self.read_as(format, text.trim()),
            None => self.read_iso(text.trim()),
        };
        read.map_err(|reason| LineError::Instant {
            name: shown(name),
            value: shown(text),
            reason,
        })
    }

    fn read_iso(&self, text: &str) -> Result<Timestamp, String> {
        // A bare date means 00:00 in the offset named, and 00:00Z as everywhere else without one.
        if let Ok(date) = text.parse::<Date>()
            && text.len() == "2024-01-01".len()
        {
            let midnight = date.at(0, 0, 0, 0);
            return at(midnight, self.offset.unwrap_or(Offset::UTC));
        }
        // In this order: a civil time would be read from an instant too, its offset ignored.
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(instant);
        }
        match (text.parse::<DateTime>(), self.offset) {
            (Ok(civil), Some(offset)) => at(civil, offset),
            (Ok(_), None) => Err(OFFSET_MISSING.to_owned()),
            (Err(_), _) => {
                Err("write it like 2024-01-31T12:00:00Z, or say --time-format".to_owned())
            }
        }
    }

    fn read_as(&self, format: &str, text: &str) -> Result<Timestamp, String> {
        let parts = BrokenDownTime::parse(format, text).map_err(|error| error.to_string())?;
        if let Ok(instant) = parts.to_timestamp() {
            return instant_of(instant);
        }
        let civil = match parts.to_datetime() {
            Ok(civil) => civil,
            // A form without a time of day is a date.
            Err(error) => match parts.to_date() {
                Ok(date) => date.at(0, 0, 0, 0),
                Err(_) => return Err(error.to_string()),
            },
        };
        let offset = self.offset.ok_or_else(|| OFFSET_MISSING.to_owned())?;
        at(civil, offset)
    }
}

fn at(civil: DateTime, offset: Offset) -> Result<Timestamp, String> {
    let instant = offset.to_timestamp(civil);
    instant_of(instant.map_err(|error| error.to_string())?)
}

/// The instant in whole microseconds; refused, not moved, where it is outside the range.
fn instant_of(instant: jiff::Timestamp) -> Result<Timestamp, String> {
    let micros = instant.as_nanosecond().div_euclid(1_000);
    let micros = i64::try_from(micros).map_err(|error| error.to_string())?;
    Timestamp::from_micros(micros).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(offset: Option<i8>, format: Option<&str>, text: &str) -> Result<String, String> {
        let instants = Instants {
            offset: offset.map(|hours| Offset::from_hours(hours).unwrap()),
            format: format.map(str::to_owned),
        };
        let read = instants.read("time:timestamp", text);
        read.map(|instant| instant.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_forms_of_iso_8601_that_logs_have() {
        for (text, instant) in [
            ("2012-10-09T14:50:17+00:00", "2012-10-09T14:50:17Z"),
            (
                "2011-10-11 13:45:40.276000+02:00",
                "2011-10-11T11:45:40.276Z",
            ),
            ("2011-10-11T13:45:40.276+0200", "2011-10-11T11:45:40.276Z"),
            (" 2011-10-11T13:45Z ", "2011-10-11T13:45:00Z"),
            ("2011-10-11", "2011-10-11T00:00:00Z"),
        ] {
            assert_eq!(read(None, None, text), Ok(instant.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_instant_without_an_offset_takes_the_one_that_was_named() {
        let (civil, date) = ("2011-10-11 13:45:40", "2011-10-11");
        assert_eq!(read(Some(2), None, civil).unwrap(), "2011-10-11T11:45:40Z");
        assert_eq!(read(Some(2), None, date).unwrap(), "2011-10-10T22:00:00Z");
        let own = "2011-10-11 13:45:40-01:00";
        assert_eq!(read(Some(2), None, own).unwrap(), "2011-10-11T14:45:40Z");
        assert!(read(None, None, civil).unwrap_err().contains("--offset"));
    }

    #[test]
    fn a_form_can_be_described() {
        let read = |offset, format, text| read(offset, Some(format), text);
        let (format, text) = ("%d/%m/%Y %H:%M", "31/01/2024 12:30");
        assert_eq!(read(Some(0), format, text).unwrap(), "2024-01-31T12:30:00Z");
        assert!(read(None, format, text).unwrap_err().contains("--offset"));
        let (format, text) = ("%d.%m.%Y %H:%M %z", "31.01.2024 12:30 +0100");
        assert_eq!(read(None, format, text).unwrap(), "2024-01-31T11:30:00Z");
        assert_eq!(
            read(Some(0), "%d.%m.%Y", "31.01.2024").unwrap(),
            "2024-01-31T00:00:00Z"
        );
        assert!(read(Some(0), "%d.%m.%Y", "31/01/2024").is_err());
    }

    #[test]
    fn what_is_not_an_instant_is_named() {
        for text in ["", "yesterday", "2024-13-01T00:00:00Z", "1700000000"] {
            let error = read(None, None, text).unwrap_err();
            let start = format!("read time:timestamp {text:?} as an instant: ");
            assert!(error.starts_with(&start), "{error}");
        }
        let error = read(None, None, &"9".repeat(1_000_000)).unwrap_err();
        assert!(error.len() < 250, "{error}");
    }
}
