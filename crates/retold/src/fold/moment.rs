//! The moment that a caller asks for, given at most once, and the builder methods that set it.

use retold_core::{Error, PointInTime};

/// The moment asked for, so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moment {
    point: PointInTime,
    is_given: bool,
    is_given_again: bool,
}

impl Moment {
    pub(crate) fn set(&mut self, point: PointInTime) {
        self.point = point;
        self.is_given_again = self.is_given;
        self.is_given = true;
    }

    /// The moment; [`PointInTime::Head`] where none was given.
    pub(crate) fn point(&self) -> Result<PointInTime, Error> {
        if self.is_given_again {
            return Err(Error::invalid(
                "at",
                "must be given once: a sequence number, a position, a timestamp or a persistedAt",
            ));
        }
        Ok(self.point)
    }
}

/// The methods of a builder with a field `moment: Moment`.
macro_rules! point_in_time_methods {
    () => {
        /// As it was at that moment. More than one moment is
        /// [`Invalid`](retold_core::Error::Invalid).
        pub fn at(mut self, point: retold_core::PointInTime) -> Self {
            self.moment.set(point);
            self
        }

        /// As it was after the event with this sequence number; 0 is before the first.
        pub fn at_sequence(self, sequence_number: retold_core::SequenceNumber) -> Self {
            self.at(retold_core::PointInTime::Sequence(sequence_number))
        }

        /// As it was when the log had reached this position.
        pub fn at_position(self, position: retold_core::Position) -> Self {
            self.at(retold_core::PointInTime::Position(position))
        }

        /// As it was at this date: before the first event that is dated later, so that the state
        /// is one that really was. Events behind that one are left out, whatever their date.
        pub fn at_timestamp(self, timestamp: retold_core::Timestamp) -> Self {
            self.at(retold_core::PointInTime::Timestamp(timestamp))
        }

        /// As it was known at this time: with the events recorded until then.
        pub fn at_persisted(self, persisted_at: retold_core::Timestamp) -> Self {
            self.at(retold_core::PointInTime::PersistedAt(persisted_at))
        }
    };
}

pub(crate) use point_in_time_methods;
