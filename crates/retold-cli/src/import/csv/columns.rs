//! Which column of a table is what: as the caller says, or as its name suggests.

use std::collections::HashSet;

use crate::import::Fields;
use crate::import::error::{Cause, shown};
use crate::import::limits::COLUMNS_SHOWN_MAX;

/// Names of columns in the order of preference: those of IEEE 1849 first, then those of common
/// tools and tables. Compared without regard to case and to anything but letters and digits, so
/// that `Case ID`, `case_id` and `CaseId` are one name.
const CASE: &[&str] = &[
    "caseconceptname",
    "caseid",
    "case",
    "caseidentifier",
    "casenumber",
    "caseno",
    "traceid",
    "trace",
];
const EVENT_TYPE: &[&str] = &[
    "conceptname",
    "activity",
    "activityname",
    "eventtype",
    "eventname",
    "event",
    "taskname",
    "task",
    "action",
];
/// Where there are a beginning and an end, an event is what was completed.
const TIMESTAMP: &[&str] = &[
    "timetimestamp",
    "timestamp",
    "completetimestamp",
    "endtimestamp",
    "eventtimestamp",
    "eventtime",
    "completetime",
    "endtime",
    "datetime",
    "time",
    "date",
    "starttimestamp",
    "starttime",
];
const ACTOR: &[&str] = &[
    "orgresource",
    "resource",
    "actor",
    "user",
    "username",
    "userid",
    "originator",
    "performer",
    "agent",
    "employee",
    "operator",
];

/// The columns of a table, by their place from 0.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    pub(super) case: usize,
    pub(super) event_type: usize,
    pub(super) timestamp: usize,
    pub(super) actor: Option<usize>,
}

/// What a column is looked for.
struct Role {
    role: &'static str,
    flag: &'static str,
    names: &'static [&'static str],
}

impl Columns {
    /// Finds the columns by the names in the header.
    ///
    /// # Errors
    /// [`Cause::ColumnMissing`] lists the columns there are; a name may be there only once.
    pub(super) fn find(header: Vec<String>, fields: &Fields) -> Result<Columns, Cause> {
        let names = named(header)?;
        let find = |role, flag, known, asked: &Option<String>| {
            let role = Role {
                role,
                flag,
                names: known,
            };
            column(&names, &role, asked.as_deref())
        };
        let case = find("the case", "--case", CASE, &fields.case)?;
        let event_type = find(
            "the event type",
            "--event-type",
            EVENT_TYPE,
            &fields.event_type,
        )?;
        let timestamp = find("the instant", "--timestamp", TIMESTAMP, &fields.timestamp)?;
        let actor = find("the actor", "--actor", ACTOR, &fields.actor);
        // Events without an actor are common; an actor that was asked for and is absent is not.
        let actor = match actor {
            Err(_) if fields.actor.is_none() => None,
            found => Some(found?),
        };
        Ok(Columns {
            names,
            case,
            event_type,
            timestamp,
            actor,
        })
    }

    /// Whether a column becomes a field of the event other than its payload.
    pub(super) fn is_mapped(&self, column: usize) -> bool {
        [self.case, self.event_type, self.timestamp].contains(&column) || self.actor == Some(column)
    }
}

/// The names of a header: without white space around them, each of them different.
fn named(header: Vec<String>) -> Result<Vec<String>, Cause> {
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(header.len());
    for (nth, name) in header.iter().enumerate() {
        let name = match name.trim() {
            "" => format!("column {}", nth + 1),
            name => name.to_owned(),
        };
        if !seen.insert(name.clone()) {
            return Err(Cause::malformed(
                1,
                format!("the header names {:?} twice", shown(&name)),
            ));
        }
        names.push(name);
    }
    Ok(names)
}

fn column(names: &[String], role: &Role, asked: Option<&str>) -> Result<usize, Cause> {
    let found = match asked {
        Some(asked) => names.iter().position(|name| name == asked.trim()),
        None => {
            let bare: Vec<String> = names.iter().map(|name| bare(name)).collect();
            let known = &mut role.names.iter();
            known.find_map(|known| bare.iter().position(|name| name == known))
        }
    };
    found.ok_or_else(|| Cause::ColumnMissing {
        role: role.role,
        flag: role.flag,
        asked: asked.map(shown),
        columns: listed(names),
    })
}

fn bare(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

fn listed(names: &[String]) -> String {
    let shown_names = names.iter().take(COLUMNS_SHOWN_MAX);
    let shown_names: Vec<String> = shown_names
        .map(|name| format!("{:?}", shown(name)))
        .collect();
    let more = match names.len().saturating_sub(COLUMNS_SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown_names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &str, fields: Fields) -> Result<[Option<usize>; 4], String> {
        let header = header.split(',').map(str::to_owned).collect();
        match Columns::find(header, &fields) {
            Ok(found) => Ok([
                Some(found.case),
                Some(found.event_type),
                Some(found.timestamp),
                found.actor,
            ]),
            Err(cause) => Err(crate::import::ReadError::new("a.csv", cause).to_string()),
        }
    }

    #[test]
    fn common_names_are_known() {
        for (header, expected) in [
            (
                "x,case:concept:name,concept:name,time:timestamp,org:resource",
                [Some(1), Some(2), Some(3), Some(4)],
            ),
            (
                "Case ID,Activity,Resource,Start Timestamp,Complete Timestamp",
                [Some(0), Some(1), Some(4), Some(2)],
            ),
            (" case_id ,EVENT,date", [Some(0), Some(1), Some(2), None]),
            (
                "case,case:concept:name,Task,Time,Benutzer",
                [Some(1), Some(2), Some(3), None],
            ),
        ] {
            assert_eq!(find(header, Fields::default()), Ok(expected), "{header}");
        }
    }

    #[test]
    fn a_flag_wins_over_a_guess_and_must_name_a_column() {
        let fields = Fields {
            case: Some("Vorgang".to_owned()),
            actor: Some("Wer".to_owned()),
            ..Fields::default()
        };
        let found = find("case,Vorgang,activity,time,Wer,user", fields.clone());
        assert_eq!(found, Ok([Some(1), Some(2), Some(3), Some(4)]));
        let error = find("case,Vorgang,activity,time", fields).unwrap_err();
        assert!(error.starts_with("find the column \"Wer\" in a.csv; name one with --actor"));
    }

    #[test]
    fn an_error_lists_the_columns() {
        let error = find("id,what,when", Fields::default()).unwrap_err();
        assert_eq!(
            error,
            "find a column with the case in a.csv; name one with --case, it has \
             \"id\", \"what\", \"when\""
        );
        let many: Vec<String> = (0..1_000).map(|nth| format!("c{nth}")).collect();
        let error = find(&many.join(","), Fields::default()).unwrap_err();
        assert!(error.ends_with("\"c49\" and 950 more"), "{error}");
        assert!(
            find("case,a,a", Fields::default())
                .unwrap_err()
                .contains("\"a\" twice")
        );
    }
}
