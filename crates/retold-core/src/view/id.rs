//! The names of views.

use std::fmt;

use super::NAME_BYTES_MAX;
use crate::{Error, Text};

/// Names a build of a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewId {
    /// The projection's name.
    pub name: Text,
    /// The declared version, and behind a dot the count of further builds of it: `1`, `1.2`.
    pub version: Text,
}

impl ViewId {
    /// Checks the form: lower case letters, digits, `_` and `-`; in the version digits and `.`.
    ///
    /// # Errors
    /// [`Error::Invalid`] names what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        check_view_name(&self.name)?;
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match self.version.len() <= NAME_BYTES_MAX && self.version.split('.').all(is_number) {
            true => Ok(()),
            false => Err(Error::invalid(
                "version",
                "must be numbers, such as 2 or 2.1",
            )),
        }
    }
}

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// Checks the name of a projection.
///
/// # Errors
/// [`Error::Invalid`] says what it must be.
pub fn check_view_name(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let is_lower = |byte: u8| byte.is_ascii_lowercase();
    let fits = name.len() <= NAME_BYTES_MAX
        && bytes.next().is_some_and(is_lower)
        && bytes.all(|b| is_lower(b) || b.is_ascii_digit() || b == b'_' || b == b'-');
    match fits {
        true => Ok(()),
        false => Err(Error::invalid(
            "projection",
            format!(
                "must be 1 to {NAME_BYTES_MAX} lower case letters, digits, _ or -, beginning \
                 with a letter"
            ),
        )),
    }
}
