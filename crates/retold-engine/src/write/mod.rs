//! The way of an append: its caller looks up what is durable, encodes it into the open group
//! under a short lock, and waits; one thread writes and syncs group after group.

pub(crate) mod group;
pub(crate) mod keyed;
pub(crate) mod recent;
pub(crate) mod statistics;
pub(crate) mod syncer;
pub(crate) mod writer;
