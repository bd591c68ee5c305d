//! What holds for all formats: files that are whole, files that are broken, files that are real.

mod broken;
mod exported;
mod real_logs;
mod refused;
mod small;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use super::{Format, Import, ImportEvent, Options, ReadError};

/// The options that every log of cases needs.
fn options() -> Options {
    Options {
        aggregate_type: Some("Repair".to_owned()),
        ..Options::default()
    }
}

fn small(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    tests.join(name)
}

fn read(format: Format, text: impl Into<Vec<u8>>, options: Options) -> Result<Import, ReadError> {
    let options = Options {
        format: Some(format),
        ..options
    };
    super::read(Cursor::new(text.into()), "input", options)
}

/// All events of a file that has nothing wrong with it.
fn accepted(import: Import) -> Vec<ImportEvent> {
    let lines = import.map(|line| line.unwrap());
    lines
        .map(|line| {
            let number = line.number;
            line.result
                .unwrap_or_else(|error| panic!("line {number}: {error}"))
        })
        .collect()
}

/// The lines that were refused with the reasons, the number of events accepted, and the error
/// that ended the file.
#[derive(Debug, Default)]
struct Outcome {
    accepted: Vec<ImportEvent>,
    refused: Vec<(u64, String)>,
    ended: Option<String>,
}

fn outcome(import: Result<Import, ReadError>) -> Outcome {
    let mut outcome = Outcome::default();
    let import = match import {
        Ok(import) => import,
        Err(error) => {
            outcome.ended = Some(error.to_string());
            return outcome;
        }
    };
    for line in import {
        match line {
            Ok(line) => match line.result {
                Ok(event) => outcome.accepted.push(event),
                Err(error) => outcome.refused.push((line.number, error.to_string())),
            },
            Err(error) => {
                assert!(outcome.ended.is_none(), "an error is the last item");
                outcome.ended = Some(error.to_string());
            }
        }
    }
    outcome
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}
