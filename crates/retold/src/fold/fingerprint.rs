//! What the snapshots of a reducer are kept under: the one place where it is decided which
//! snapshots a change makes useless.

use std::fmt::Write;

use retold_core::{ReducerId, Text};
use sha2::{Digest, Sha256};

use super::Reducer;
use crate::shapes::Shape;
use crate::upcasters::Chains;

/// How much of the hash is kept: 128 bits, which nothing but the same declarations has.
const HASH_BYTES: usize = 16;

/// The name and the fingerprint of a reducer over streams of one aggregate type: its version, and
/// a hash over the version, the shape of its state and the upcasters that may touch what it folds.
///
/// It finds changes that are declared. The body of a function is none of them.
pub(crate) fn id_of(
    reducer: &impl Reducer,
    aggregate_type: &Text,
    upcasters: &Chains,
) -> ReducerId {
    let shape = reducer.state_schema().map(|schema| Shape::of(&schema));
    let fingerprint = fingerprint(
        reducer.version(),
        shape.as_ref(),
        upcasters.declared(aggregate_type),
    );
    ReducerId {
        name: Text::from(reducer.name()),
        fingerprint,
    }
}

fn fingerprint(version: &str, shape: Option<&Shape>, upcasters: &[String]) -> Text {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        // Each with its length before it, so that no two lists of parts are one text.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    part(version);
    match shape {
        None => part("no shape"),
        Some(shape) => {
            part("shape");
            part(&shape.to_string());
        }
    }
    for upcaster in upcasters {
        part(upcaster);
    }
    let mut text = format!("{version}:");
    for byte in &hash.finalize()[..HASH_BYTES] {
        write!(text, "{byte:02x}").expect("a string takes every text");
    }
    Text::from(text)
}
