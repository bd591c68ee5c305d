//! Declaring upcasters.

use std::fmt;
use std::sync::Arc;

use retold_core::{Json, Text};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{EventVersion, Part};
use crate::BoxError;

/// The upcasters of an application, for [`RetoldBuilder::upcasters`](crate::RetoldBuilder::upcasters).
///
/// Each begins at one version of one event type and leads to the next, and they run one after
/// the other until nothing takes the event further. So a new version of an event calls for one
/// new function, and the older ones stay as they are.
///
/// ```
/// use retold::{Retold, Upcasters};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct OpenedV1 { owner: String }
/// #[derive(Serialize, Deserialize)]
/// struct OpenedV2 { owner: String, currency: String }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), retold::Error> {
/// let upcasters = Upcasters::of("Account")
///     .change("account.opened", "1.0.0", "2.0.0", |old: OpenedV1| {
///         Ok(OpenedV2 { owner: old.owner, currency: "EUR".into() })
///     });
/// let retold = Retold::builder().upcasters(upcasters).open("memory:").await?;
/// # Ok(())
/// # }
/// ```
///
/// A function is given the payload as any type that serde can read, and answers with any that it
/// can write; [`serde_json::Value`] and [`Json`] are such types where no struct of the old shape
/// is kept. It must be pure: with the same payload it gives the same answer, whenever it runs.
///
/// What an upcasted event has of the recorded one: stream, sequence number, position, metadata
/// (its version apart) and tags. Where one event becomes several they all have the same.
///
/// An event whose type no upcaster names is left as it is, whatever its version. An event whose
/// type is named in a version that is not fails the read with
/// [`UpcastError::UnknownVersion`](super::UpcastError::UnknownVersion), since what a newer
/// program wrote cannot be guessed.
#[derive(Clone)]
#[must_use = "upcasters do nothing until they are given to the builder"]
pub struct Upcasters {
    pub(super) aggregate_type: Option<Text>,
    pub(super) revision: Text,
    pub(super) edges: Vec<Edge>,
    pub(super) current: Vec<EventVersion>,
}

/// One upcaster.
#[derive(Clone)]
pub(super) struct Edge {
    pub(super) from: EventVersion,
    pub(super) to: Vec<EventVersion>,
    pub(super) function: Function,
}

type Function = Arc<dyn Fn(&Json) -> Result<Vec<Part>, BoxError> + Send + Sync>;

impl Default for Upcasters {
    fn default() -> Self {
        Upcasters::new()
    }
}

impl Upcasters {
    /// Upcasters of events of every aggregate type. Where two types may have events of one name,
    /// [`of`](Self::of) is what is wanted.
    pub fn new() -> Upcasters {
        Upcasters {
            aggregate_type: None,
            revision: Text::from_static("1"),
            edges: Vec::new(),
            current: Vec::new(),
        }
    }

    /// Upcasters of the events of one aggregate type.
    pub fn of(aggregate_type: impl Into<Text>) -> Upcasters {
        Upcasters {
            aggregate_type: Some(aggregate_type.into()),
            ..Upcasters::new()
        }
    }

    /// The payload has another shape.
    pub fn change<Old, New, F>(
        self,
        event_type: impl Into<Text>,
        from_version: impl Into<Text>,
        to_version: impl Into<Text>,
        function: F,
    ) -> Self
    where
        Old: DeserializeOwned,
        New: Serialize,
        F: Fn(Old) -> Result<New, BoxError> + Send + Sync + 'static,
    {
        let event_type = event_type.into();
        let from = EventVersion::new(event_type.clone(), from_version);
        self.rename(from, (event_type, to_version), function)
    }

    /// The event has another type, and perhaps its payload another shape.
    ///
    /// ```
    /// # use retold::Upcasters;
    /// # use serde_json::Value;
    /// Upcasters::of("Account").rename(
    ///     ("account.credited", "1.0.0"),
    ///     ("account.deposited", "1.0.0"),
    ///     |same: Value| Ok(same),
    /// );
    /// ```
    pub fn rename<Old, New, F>(
        self,
        from: impl Into<EventVersion>,
        to: impl Into<EventVersion>,
        function: F,
    ) -> Self
    where
        Old: DeserializeOwned,
        New: Serialize,
        F: Fn(Old) -> Result<New, BoxError> + Send + Sync + 'static,
    {
        let to = to.into();
        let into = to.clone();
        self.split(from, [to], move |old: Old| {
            Ok(vec![Part::new(into.clone(), &function(old)?)])
        })
    }

    /// One event becomes several, in the order of the parts returned: none, one or more of those
    /// that are named in `to`.
    ///
    /// ```
    /// # use retold::{Part, Upcasters};
    /// # use serde_json::{Value, json};
    /// Upcasters::of("Account").split(
    ///     ("account.transferred", "1.0.0"),
    ///     [("account.withdrawn", "1.0.0"), ("account.fee_charged", "1.0.0")],
    ///     |old: Value| Ok(vec![
    ///         Part::new(("account.withdrawn", "1.0.0"), &json!({"amount": old["amount"]})),
    ///         Part::new(("account.fee_charged", "1.0.0"), &json!({"amount": old["fee"]})),
    ///     ]),
    /// );
    /// ```
    ///
    /// A transition of a machine may become several as well; each part must be one, with a
    /// `toState` in its payload.
    pub fn split<Old, To, F>(
        mut self,
        from: impl Into<EventVersion>,
        to: impl IntoIterator<Item = To>,
        function: F,
    ) -> Self
    where
        Old: DeserializeOwned,
        To: Into<EventVersion>,
        F: Fn(Old) -> Result<Vec<Part>, BoxError> + Send + Sync + 'static,
    {
        self.edges.push(Edge {
            from: from.into(),
            to: to.into_iter().map(Into::into).collect(),
            function: Arc::new(move |payload| function(payload.decode()?)),
        });
        self
    }

    /// The event says nothing that today's code would write, and is left out.
    pub fn discard(self, event_type: impl Into<Text>, version: impl Into<Text>) -> Self {
        let from = EventVersion::new(event_type, version);
        self.split(from, [] as [EventVersion; 0], |_: Json| Ok(Vec::new()))
    }

    /// Declares which version of an event type today's code writes. With it the check at the
    /// start finds a chain that ends elsewhere, and a read finds an event of any other version,
    /// also of a type that no upcaster names.
    pub fn current(mut self, event_type: impl Into<Text>, version: impl Into<Text>) -> Self {
        self.current.push(EventVersion::new(event_type, version));
        self
    }

    /// A text that is a part of the fingerprint of snapshots; "1" unless told otherwise. That an
    /// upcaster was added, removed or leads elsewhere is noticed without it; change it when a
    /// function was corrected, and snapshots made with the wrong one are ignored.
    pub fn revision(mut self, revision: impl Into<Text>) -> Self {
        self.revision = revision.into();
        self
    }
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edges: Vec<String> = self.edges.iter().map(Edge::to_string).collect();
        f.debug_struct("Upcasters")
            .field("aggregate_type", &self.aggregate_type)
            .field("upcasters", &edges)
            .field("current", &self.current)
            .field("revision", &self.revision)
            .finish()
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} →", self.from)?;
        for (nth, to) in self.to.iter().enumerate() {
            let separator = if nth == 0 { "" } else { "," };
            write!(f, "{separator} {to}")?;
        }
        Ok(())
    }
}
