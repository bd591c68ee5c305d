//! What an event changed in a state.

use retold_core::Json;
use serde::Serialize;

use super::State;

/// A field that differs between two states of one aggregate. As JSON `{path, before, after}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The field's JSON name.
    pub path: String,
    /// Its value in the earlier state.
    pub before: Json,
    /// Its value in the later state.
    pub after: Json,
}

impl State {
    /// The fields in which this state differs from an earlier one of the same aggregate.
    ///
    /// Those are `exists`, `status`, `transitionCount` and `lastTransitionAt`: what was derived,
    /// without the place that it was derived at, which every event changes.
    ///
    /// ```
    /// # use retold::{Retold, Transition};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), retold::Error> {
    /// # let retold = Retold::builder().builtin_machines().open("memory:").await?;
    /// # let start = Transition::new("Issue", "42").to("IN_PROGRESS").event("start_work");
    /// # retold.transition(start).await?;
    /// let before = retold.state("Issue", "42").at_sequence(0).await?;
    /// let after = retold.state("Issue", "42").at_sequence(1).await?;
    /// let differences = after.differences_from(&before);
    /// assert_eq!(differences[1].path, "status");
    /// assert_eq!(differences[1].before.as_str(), "null");
    /// assert_eq!(differences[1].after.as_str(), "\"IN_PROGRESS\"");
    /// # Ok(())
    /// # }
    /// ```
    pub fn differences_from(&self, before: &State) -> Vec<Difference> {
        let fields = [
            difference("exists", &before.exists, &self.exists),
            difference("status", &before.status, &self.status),
            difference(
                "transitionCount",
                &before.transition_count,
                &self.transition_count,
            ),
            difference(
                "lastTransitionAt",
                &before.last_transition_at,
                &self.last_transition_at,
            ),
        ];
        fields.into_iter().flatten().collect()
    }
}

fn difference<T: Serialize + PartialEq>(path: &str, before: &T, after: &T) -> Option<Difference> {
    if before == after {
        return None;
    }
    let json = |value| Json::from_value(value).expect("plain values can be written as JSON");
    Some(Difference {
        path: path.to_owned(),
        before: json(before),
        after: json(after),
    })
}
