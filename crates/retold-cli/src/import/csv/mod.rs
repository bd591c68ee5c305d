//! CSV (RFC 4180, with the separators that spreadsheets write): one event a row, a header, and
//! columns for the case, the event type, the instant and the actor. Every other cell that is
//! not empty becomes a text in the payload, under the name of its column.

mod columns;
mod record;

use super::case::{Cases, Parts};
use super::error::{Cause, LineError, shown};
use super::payload::{Object, quoted};
use super::source::Input;
use super::{ImportEvent, Line, Options};
use columns::Columns;
use record::Records;

/// Reads the events of a table.
pub(super) struct Reader {
    records: Records,
    columns: Columns,
    cases: Cases,
}

impl Reader {
    /// Reads the header.
    ///
    /// # Errors
    /// The options must name the aggregate type, and the header the columns.
    pub(super) fn new(input: Input, options: &Options) -> Result<Reader, Cause> {
        let cases = Cases::new(options)?;
        let mut records = Records::new(input, options.separator)?;
        let header = match records.next()? {
            Some((_, Ok(header))) => header,
            Some((line, Err(error))) => {
                return Err(Cause::malformed(
                    line,
                    format!("the header: failed to {error}"),
                ));
            }
            None => {
                return Err(Cause::malformed(
                    1,
                    "it is empty: a CSV file begins with a header",
                ));
            }
        };
        Ok(Reader {
            columns: Columns::find(header, &options.fields)?,
            records,
            cases,
        })
    }

    fn event(&mut self, row: &[String]) -> Result<ImportEvent, LineError> {
        let columns = &self.columns;
        // A row with too few or too many fields is refused, but where it holds a case it counts
        // as an event of it: mending the row must not rename the events behind it.
        let case = row.get(columns.case).filter(|case| !case.is_empty());
        let parts = match row.len() == columns.names.len() {
            true => columns.parts(row),
            false => Err(LineError::malformed(format!(
                "it has {} fields, the header has {}",
                row.len(),
                columns.names.len()
            ))),
        };
        let Some(case) = case else {
            let missing = LineError::Missing {
                what: format!("a value of {}", shown(&columns.names[columns.case])),
                hint: ": every event belongs to a case",
            };
            return Err(parts.err().unwrap_or(missing));
        };
        self.cases.event(case, parts)
    }
}

impl Columns {
    /// The parts of an event; `row` has as many fields as the header.
    fn parts<'a>(&'a self, row: &'a [String]) -> Result<Parts<'a>, LineError> {
        let part = |column: usize| (self.names[column].as_str(), Some(row[column].as_str()));
        Ok(Parts {
            event_type: part(self.event_type),
            timestamp: part(self.timestamp),
            actor: self.actor.map(|column| row[column].as_str()),
            payload: self.payload(row)?,
        })
    }

    fn payload(&self, row: &[String]) -> Result<Object, LineError> {
        let mut payload = Object::new();
        for (column, (name, value)) in self.names.iter().zip(row).enumerate() {
            // An empty cell says that there is no value: a table cannot leave it out.
            if !self.is_mapped(column) && !value.is_empty() {
                payload.add(name, &quoted(value))?;
            }
        }
        Ok(payload)
    }
}

impl Iterator for Reader {
    type Item = Result<Line, Cause>;

    fn next(&mut self) -> Option<Self::Item> {
        let (number, row) = match self.records.next() {
            Ok(next) => next?,
            Err(error) => return Some(Err(error.into())),
        };
        let result = row.and_then(|row| self.event(&row));
        Some(Ok(Line { number, result }))
    }
}
