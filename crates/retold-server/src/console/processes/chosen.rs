//! How much of a process is drawn.

use crate::console::failure::Failure;

/// How much of a process is drawn: a graph of every step that was ever taken hides the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paths {
    /// The steps that are four in five of all.
    Main,
    /// The steps that are 19 in 20.
    Most,
    /// All that fit into a drawing.
    All,
}

impl Paths {
    pub(super) const ALL: [Paths; 3] = [Paths::Main, Paths::Most, Paths::All];

    pub(super) fn of(text: Option<&str>) -> Result<Paths, Failure> {
        match text {
            None | Some("" | "most") => Ok(Paths::Most),
            Some("main") => Ok(Paths::Main),
            Some("all") => Ok(Paths::All),
            Some(_) => Err(Failure::invalid("The paths are main, most or all.")),
        }
    }

    /// Its name in an address.
    pub(super) fn name(self) -> &'static str {
        match self {
            Paths::Main => "main",
            Paths::Most => "most",
            Paths::All => "all",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Paths::Main => "The main ones (80 % of all steps)",
            Paths::Most => "Most (95 % of all steps)",
            Paths::All => "All",
        }
    }

    /// The part of all steps that is drawn, in percent.
    pub(super) fn percent(self) -> u64 {
        match self {
            Paths::Main => 80,
            Paths::Most => 95,
            Paths::All => 100,
        }
    }
}
