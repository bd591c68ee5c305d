//! The stores that this program can be linked with, or whose servers it starts.

pub(crate) mod evento;
pub(crate) mod http;
pub(crate) mod nats;
pub(crate) mod null;
pub(crate) mod retold;
pub(crate) mod shared;
pub(crate) mod umadb;
