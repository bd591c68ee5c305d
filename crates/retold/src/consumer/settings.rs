//! What a consumer is: which events it is given, from where on, and how patient it is.

use std::time::Duration;

use retold_core::{Filter, Position, Text, Timestamp};
use serde::{Deserialize, Serialize};

/// Bytes of a consumer's name at most.
const NAME_BYTES_MAX: usize = 64;

/// Deliveries under way at most that may be asked for.
const IN_FLIGHT_MAX: u64 = 10_000;

/// Attempts at most that may be asked for: practically for ever.
const ATTEMPTS_MAX: u64 = 1_000_000;

/// Streams that wait at most that may be asked for: each is remembered.
const PARKED_STREAMS_MAX: u64 = 100_000;

/// The longest time that may be asked for: a week. Who waits longer waits for a person.
const TIME_MS_MAX: u64 = 7 * 86_400_000;

/// Events that are read ahead for each delivery that may be under way: enough that streams which
/// wait for their turn leave something to do.
const READ_AHEAD: usize = 16;

/// Streams that are remembered for each event that is read ahead: those that are finished ahead of
/// an event which takes long.
const LANES: usize = 16;

/// Events that are read ahead at least.
const READ_AHEAD_MIN: usize = 512;

/// Bytes of events that are read ahead: a few of the largest, and more of the usual ones than the
/// other limits allow.
const READ_AHEAD_BYTES: usize = 32 * 1024 * 1024;

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ConsumerStart {
    /// With the first event of the log.
    #[default]
    Beginning,
    /// With what is written from now on.
    Now,
    /// Behind a position.
    After(Position),
    /// With the first event that was recorded at or after a moment.
    At(Timestamp),
}

/// Which events a consumer is given, from where on, and how patient it is. As JSON, what is left
/// out is as by default.
///
/// ```
/// use retold::consumer::ConsumerSettings;
///
/// let settings = ConsumerSettings::default();
/// assert_eq!((settings.in_flight_max, settings.attempts_max), (64, 10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ConsumerSettings {
    /// Which events.
    #[serde(with = "super::filter")]
    pub filter: Filter,
    /// Where it begins when it is new.
    pub start: ConsumerStart,
    /// Deliveries under way at the same time, each of another stream.
    pub in_flight_max: u32,
    /// How long a delivery may be under way before it counts as failed.
    pub lease_ms: u64,
    /// Attempts after which an event is parked.
    pub attempts_max: u32,
    /// The pause behind the first failed attempt; it doubles with each further one …
    pub retry_backoff_ms: u64,
    /// … up to this.
    pub retry_backoff_max_ms: u64,
    /// Streams that wait before the consumer holds as a whole.
    pub parked_streams_max: u32,
    /// Seconds in which every delivery has failed before the consumer holds as a whole.
    pub outage_after_s: u64,
    /// Where a service in front of the library sends the events, in that service's own form. The
    /// library keeps it and does not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<serde_json::Value>,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        ConsumerSettings {
            filter: Filter::default(),
            start: ConsumerStart::default(),
            in_flight_max: 64,
            lease_ms: 30_000,
            attempts_max: 10,
            retry_backoff_ms: 1_000,
            retry_backoff_max_ms: 300_000,
            parked_streams_max: 1_000,
            outage_after_s: 60,
            webhook: None,
        }
    }
}

impl ConsumerSettings {
    /// Checks that they make sense.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) names the field that is wrong.
    pub fn check(&self) -> Result<(), retold_core::Error> {
        let bounded = [
            ("inFlightMax", u64::from(self.in_flight_max), IN_FLIGHT_MAX),
            ("leaseMs", self.lease_ms, TIME_MS_MAX),
            ("attemptsMax", u64::from(self.attempts_max), ATTEMPTS_MAX),
            ("retryBackoffMs", self.retry_backoff_ms, TIME_MS_MAX),
            ("retryBackoffMaxMs", self.retry_backoff_max_ms, TIME_MS_MAX),
            (
                "parkedStreamsMax",
                u64::from(self.parked_streams_max),
                PARKED_STREAMS_MAX,
            ),
            ("outageAfterS", self.outage_after_s, TIME_MS_MAX / 1_000),
        ];
        for (name, value, max) in bounded {
            if !(1..=max).contains(&value) {
                let reason = format!("must be from 1 to {max}");
                return Err(retold_core::Error::invalid(name, reason));
            }
        }
        super::filter::check(&self.filter)?;
        if self.retry_backoff_max_ms < self.retry_backoff_ms {
            let reason = "must be at least retryBackoffMs";
            return Err(retold_core::Error::invalid("retryBackoffMaxMs", reason));
        }
        if self.filter.include_reserved {
            let reason = "must not be asked for: a consumer's own events would wake it for ever";
            return Err(retold_core::Error::invalid("includeReserved", reason));
        }
        Ok(())
    }

    pub(crate) fn limits(&self) -> Limits {
        let in_flight_max = self.in_flight_max as usize;
        let read_ahead = (in_flight_max * READ_AHEAD).max(READ_AHEAD_MIN);
        Limits {
            in_flight_max,
            read_ahead,
            read_ahead_bytes: READ_AHEAD_BYTES,
            // The streams that wait must leave room for others.
            lanes_max: read_ahead * LANES + self.parked_streams_max as usize,
            lease: Duration::from_millis(self.lease_ms),
            attempts_max: self.attempts_max,
            backoff: Duration::from_millis(self.retry_backoff_ms),
            backoff_max: Duration::from_millis(self.retry_backoff_max_ms),
            parked_streams_max: self.parked_streams_max as usize,
            outage_after: Duration::from_secs(self.outage_after_s),
        }
    }
}

/// Checks a consumer's name: what fits into a path and a file name everywhere.
pub(crate) fn check_name(name: &Text) -> Result<(), retold_core::Error> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins_well = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if !begins_well || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(retold_core::Error::invalid(
            "consumer",
            format!(
                "must have a name of 1 to {NAME_BYTES_MAX} of the characters A-Z a-z 0-9 - _ . and begin \
                 with a letter or a digit"
            ),
        ));
    }
    Ok(())
}

/// The settings as the desk reads them.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) in_flight_max: usize,
    pub(crate) read_ahead: usize,
    pub(crate) read_ahead_bytes: usize,
    pub(crate) lanes_max: usize,
    pub(crate) lease: Duration,
    pub(crate) attempts_max: u32,
    pub(crate) backoff: Duration,
    pub(crate) backoff_max: Duration,
    pub(crate) parked_streams_max: usize,
    pub(crate) outage_after: Duration,
}

impl Limits {
    /// The pause behind so many failed attempts: doubled each time, and drawn from its upper half,
    /// so that what failed together does not come back together.
    pub(crate) fn pause_after(&self, attempts: u32, draws: &mut u64) -> Duration {
        let doubled = 1_u32
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let whole = self.backoff.saturating_mul(doubled).min(self.backoff_max);
        whole.mul_f64(0.5 + 0.5 * draw(draws))
    }
}

/// A number from 0 up to 1, from a sequence that its seed decides (SplitMix64).
pub(crate) fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // The upper 53 bits, which a double holds exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let zero = ConsumerSettings {
            attempts_max: 0,
            ..ConsumerSettings::default()
        };
        let error = zero.check().unwrap_err();
        assert!(
            matches!(error, retold_core::Error::Invalid { field, .. } if field == "attemptsMax")
        );
        assert!(ConsumerSettings::default().check().is_ok());
    }

    #[test]
    fn names_fit_into_paths() {
        for name in ["a", "mailer", "A.b-c_9"] {
            assert!(check_name(&name.into()).is_ok(), "{name}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for name in ["", ".a", "-", "a/b", "é", "a b", &long] {
            assert!(check_name(&name.into()).is_err(), "{name}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let limits = ConsumerSettings::default().limits();
        let mut draws = 7;
        for (attempts, seconds) in [(1, 1.0), (2, 2.0), (5, 16.0), (20, 300.0), (90, 300.0)] {
            let pause = limits.pause_after(attempts, &mut draws).as_secs_f64();
            assert!(
                (seconds / 2.0..=seconds).contains(&pause),
                "{attempts}: {pause}"
            );
        }
    }

    #[test]
    fn settings_come_back_from_json() {
        let mut settings = ConsumerSettings {
            start: ConsumerStart::After(7),
            ..ConsumerSettings::default()
        };
        settings.filter.aggregate_types = vec!["Issue".into()];
        settings.filter.actor = Some("alice".into());
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(
            serde_json::from_str::<ConsumerSettings>(&json).unwrap(),
            settings
        );
        let sparse: ConsumerSettings = serde_json::from_str(r#"{"attemptsMax":3}"#).unwrap();
        assert_eq!(sparse.attempts_max, 3);
        assert!(serde_json::from_str::<ConsumerSettings>(r#"{"attempts":3}"#).is_err());
    }
}
