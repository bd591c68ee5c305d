//! Lists that most often have one item.

/// A list whose only item needs no memory of its own.
pub(crate) type Few<T> = smallvec::SmallVec<[T; 1]>;
