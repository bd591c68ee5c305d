//! What is asked: the path, the parameters, the headers and the body, each read strictly, so
//! that a mistake is told and not passed over.

mod accept;
mod body;
mod event;
mod fields;
mod lines;
mod parameters;
mod precondition;
mod target;
mod trace;
mod values;

pub(crate) use accept::{AsJson, Form, accept};
pub(crate) use body::{Media, SentJson, SentNdjson, SentToml, SmallBody, check_media, read, text};
pub(crate) use event::{EventFields, checks, event_id, new_event, new_events, recorded_event};
pub(crate) use fields::Fields;
pub(crate) use lines::{Line, Lines};
pub(crate) use parameters::{NoParameters, Parameters, wait_time, whole_number};
pub(crate) use precondition::{expectation, no_expectation};
pub(crate) use target::{ConsumerName, CorrelationId, ProjectionName, Target, path_text};
pub(crate) use trace::Trace;
pub(crate) use values::{cursor, cursor_text, value_of, values_of};
