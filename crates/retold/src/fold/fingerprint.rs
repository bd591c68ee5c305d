//! What the snapshots of a reducer are kept under: the one place where it is decided which
//! snapshots a change makes useless.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{PoisonError, RwLock};

use retold_core::{ReducerId, Text};
use sha2::{Digest, Sha256};

use super::Reducer;
use crate::shapes::Shape;
use crate::upcasters::Chains;

/// How much of the hash is kept: 128 bits, which nothing but the same declarations has.
const HASH_BYTES: usize = 16;

/// The shape of the state of each type of reducer, as a text: to make a schema takes longer than
/// to read a snapshot. There are as many entries as a program has reducers.
static SHAPES: RwLock<BTreeMap<TypeId, Text>> = RwLock::new(BTreeMap::new());

/// The name and the fingerprint of a reducer over streams of one aggregate type: its version, and
/// a hash over the version, the shape of its state and the upcasters that may touch what it folds.
///
/// It finds changes that are declared. The body of a function is none of them.
pub(crate) fn id_of<R: Reducer>(
    reducer: &R,
    aggregate_type: &Text,
    upcasters: &Chains,
) -> ReducerId {
    let upcasters = upcasters.declared(aggregate_type);
    ReducerId {
        name: Text::from(reducer.name()),
        fingerprint: fingerprint(reducer.version(), &shape_of(reducer), upcasters),
    }
}

fn shape_of<R: Reducer>(reducer: &R) -> Text {
    let id = TypeId::of::<R>();
    let known = {
        let shapes = SHAPES.read().unwrap_or_else(PoisonError::into_inner);
        shapes.get(&id).cloned()
    };
    known.unwrap_or_else(|| {
        let schema = reducer.state_schema();
        let shape = schema.map(|schema| Shape::of(&schema).to_string());
        let shape = Text::from(shape.unwrap_or_default());
        let mut shapes = SHAPES.write().unwrap_or_else(PoisonError::into_inner);
        shapes.insert(id, shape.clone());
        shape
    })
}

/// `shape` is empty where it is not known; none that is known is.
fn fingerprint(version: &str, shape: &str, upcasters: &[String]) -> Text {
    let mut hash = Sha256::new();
    let upcasters = upcasters.iter().map(String::as_str);
    for part in [version, shape].into_iter().chain(upcasters) {
        // Each with its length before it, so that no two lists of parts are one text.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut text = format!("{version}:");
    for byte in &hash.finalize()[..HASH_BYTES] {
        write!(text, "{byte:02x}").expect("a string takes every text");
    }
    Text::from(text)
}
