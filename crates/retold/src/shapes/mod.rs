//! The shapes of payloads and states, as their JSON schemas tell them: what a change of a type
//! changes for what was written before, and nothing else.

mod canonical;
mod event_shape;
mod shape;

pub use event_shape::EventShape;
pub(crate) use shape::Shape;
