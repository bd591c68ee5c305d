//! The calls of a handle that are about consumers.

use retold_core::Text;

use super::{
    Consumer, ConsumerAudit, ConsumerSettings, ConsumerStart, ConsumerStatus, ParkedEvent,
};
use crate::{Error, Retold};

impl Retold {
    /// Opens a consumer in this process: a named reader of the log that goes on where it was, and
    /// cannot skip. It is made where there is none of the name, and given these settings where it
    /// has others. See [`consumer`](crate::consumer).
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) names what is wrong with the name or a setting, and
    /// the filter where the consumer has another one;
    /// [`Error::ConsumerLog`] when the log is not the one that the consumer read before; else
    /// [`Error::Store`].
    pub async fn consumer(
        &self,
        name: impl Into<Text>,
        settings: ConsumerSettings,
    ) -> Result<Consumer, Error> {
        let name = name.into();
        let consumers = &self.inner().consumers;
        consumers.open_consumer(&name, Some(settings)).await
    }

    /// Opens a consumer that exists.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where there is none of the name; else as
    /// [`Retold::consumer`].
    pub async fn existing_consumer(&self, name: impl Into<Text>) -> Result<Consumer, Error> {
        let name = name.into();
        self.inner().consumers.open_consumer(&name, None).await
    }

    /// The names of all consumers, in order.
    ///
    /// # Errors
    /// [`Error::Store`] when the log cannot be read.
    pub async fn consumer_names(&self) -> Result<Vec<Text>, Error> {
        self.inner().consumers.names().await
    }

    /// How a consumer stands; it is not opened for that.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where there is none; [`Error::Store`] when it
    /// cannot be read.
    pub async fn consumer_status(&self, name: impl Into<Text>) -> Result<ConsumerStatus, Error> {
        let name = name.into();
        self.inner().consumers.status(&name).await
    }

    /// The events of a consumer that are parked, by stream; it is not opened for that.
    ///
    /// # Errors
    /// As for [`Retold::consumer_status`].
    pub async fn consumer_parked(&self, name: impl Into<Text>) -> Result<Vec<ParkedEvent>, Error> {
        let name = name.into();
        self.inner().consumers.parked(&name).await
    }

    /// Recomputes from the log what a consumer should have been given, and compares that with what
    /// it finished. It reads the log from where the consumer began.
    ///
    /// # Errors
    /// As for [`Retold::consumer_status`].
    pub async fn audit_consumer(&self, name: impl Into<Text>) -> Result<ConsumerAudit, Error> {
        let name = name.into();
        self.inner().consumers.audit(&name).await
    }

    /// Sends a consumer to begin anew, with the settings it has: what it had finished, and what is
    /// parked, is forgotten. It ends where it is open, and goes on once it is opened again.
    ///
    /// # Errors
    /// As for [`Retold::consumer_status`], and [`Invalid`](retold_core::Error::Invalid) when it
    /// is to begin past the head of the log.
    pub async fn reset_consumer(
        &self,
        name: impl Into<Text>,
        start: ConsumerStart,
    ) -> Result<(), Error> {
        let name = name.into();
        self.inner().consumers.reset(&name, start).await
    }

    /// Ends a consumer, and removes it with all that is kept of it. What was decided about it
    /// stays in the log.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where there is none of the name; else
    /// [`Error::Store`].
    pub async fn delete_consumer(&self, name: impl Into<Text>) -> Result<(), Error> {
        let name = name.into();
        self.inner().consumers.delete(&name).await
    }
}
