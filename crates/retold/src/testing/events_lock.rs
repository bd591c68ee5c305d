//! The file `events.lock`, which keeps the shapes that events were written in, and the test that
//! a change of one is meant.

mod file;
mod judge;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::upcasters::Chains;
use crate::{EventShape, Upcasters};

use judge::judge;

/// Set to anything but `0`, it accepts what changed: `UPDATE_EVENTS_LOCK=1 cargo test`.
const UPDATE_VARIABLE: &str = "UPDATE_EVENTS_LOCK";

/// Compares the shapes of an application's events with those that are kept in a file beside its
/// code, so that none changes by accident: what was written once is read for ever.
///
/// ```no_run
/// use retold::testing::events_lock;
/// use retold::{EventShape, Upcasters};
///
/// # #[derive(serde::Serialize, schemars::JsonSchema)]
/// # struct OpenedV1 { owner: String }
/// # #[derive(serde::Serialize, schemars::JsonSchema)]
/// # struct Opened { owner: String, currency: String }
/// # fn upcasters() -> Upcasters { Upcasters::of("Account") }
/// // In a test:
/// events_lock(concat!(env!("CARGO_MANIFEST_DIR"), "/events.lock"))
///     .shape(EventShape::of::<OpenedV1>("account.opened", "1.0.0"))
///     .shape(EventShape::of::<Opened>("account.opened", "2.0.0"))
///     .upcasters(upcasters())
///     .check();
/// ```
///
/// The test fails when the shape of a version changed, when a version is new and no upcaster
/// leads to it from the one before, and when an event type is gone that no upcaster takes
/// further. Comments, the order of declarations and the names of Rust types are no part of a
/// shape. `UPDATE_EVENTS_LOCK=1 cargo test` accepts what is new or changed on purpose; what no
/// upcaster takes further it does not accept.
pub fn events_lock(path: impl Into<PathBuf>) -> EventsLock {
    EventsLock {
        path: path.into(),
        shapes: Vec::new(),
        upcasters: Vec::new(),
        is_update: None,
    }
}

/// A comparison with the file: [`events_lock`](fn@events_lock).
#[must_use = "nothing is compared until `check`"]
pub struct EventsLock {
    path: PathBuf,
    shapes: Vec<EventShape>,
    upcasters: Vec<Upcasters>,
    is_update: Option<bool>,
}

impl EventsLock {
    /// A shape that today's code knows: one that it writes, or an older one that an upcaster
    /// reads.
    pub fn shape(mut self, shape: EventShape) -> Self {
        self.shapes.push(shape);
        self
    }

    /// Several of them.
    pub fn shapes(mut self, shapes: impl IntoIterator<Item = EventShape>) -> Self {
        self.shapes.extend(shapes);
        self
    }

    /// The upcasters that the application gives to the builder.
    pub fn upcasters(mut self, upcasters: Upcasters) -> Self {
        self.upcasters.push(upcasters);
        self
    }

    /// Whether what is new or changed is accepted, in place of what the environment says.
    pub fn update(mut self, is_update: bool) -> Self {
        self.is_update = Some(is_update);
        self
    }

    /// Compares, and writes the file where that is asked for.
    ///
    /// # Panics
    /// With everything that is wrong, and what to do about each.
    #[track_caller]
    pub fn check(self) {
        if let Err(findings) = self.try_check() {
            panic!("{findings}");
        }
    }

    /// The same without a panic.
    ///
    /// # Errors
    /// All that is wrong, as a text for a person.
    pub fn try_check(self) -> Result<(), String> {
        let name = self.path.display();
        let chains = Chains::new(&self.upcasters).map_err(|error| format!("failed to {error}"))?;
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("failed to read {name}: {error}")),
        };
        let locked =
            file::parse(&text).map_err(|error| format!("failed to read {name}: {error}"))?;
        let is_update = self.is_update.unwrap_or_else(is_asked_to_update);
        let judgement = judge(&locked, &self.shapes, &chains, is_update);
        if !judgement.findings.is_empty() {
            let findings = judgement.findings.join("\n\n");
            return Err(format!(
                "{name} does not agree with the code:\n\n{findings}"
            ));
        }
        let written = file::write(&judgement.locked);
        if is_update && written != text {
            fs::write(&self.path, written)
                .map_err(|error| format!("failed to write {name}: {error}"))?;
        }
        Ok(())
    }
}

fn is_asked_to_update() -> bool {
    std::env::var_os(UPDATE_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0")
}
