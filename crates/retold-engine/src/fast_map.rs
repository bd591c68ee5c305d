//! Hash maps that are fast for short keys. Each map hashes under a seed of its own, so that
//! nobody can choose ids that collide.

use std::collections::HashMap;

/// A map whose keys are ids, names or hashes.
pub(crate) type FastMap<K, V> = HashMap<K, V, foldhash::quality::RandomState>;
