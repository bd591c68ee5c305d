//! The messages of UmaDB's service, as its `umadb.proto` has them: those that are used here.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    #[prost(string, tag = "1")]
    pub(super) event_type: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) tags: Vec<String>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) data: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(super) uuid: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) metadata: Vec<MetadataEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetadataEntry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SequencedEvent {
    #[prost(uint64, tag = "1")]
    pub(super) position: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) event: Option<Event>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryItem {
    #[prost(string, repeated, tag = "2")]
    pub(super) tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Query {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<QueryItem>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AppendCondition {
    #[prost(message, optional, tag = "1")]
    pub(super) fail_if_events_match: Option<Query>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) after: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AppendRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) events: Vec<Event>,
    #[prost(message, optional, tag = "2")]
    pub(super) condition: Option<AppendCondition>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AppendResponse {
    #[prost(uint64, tag = "1")]
    pub(super) position: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ReadRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) query: Option<Query>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SubscribeRequest {
    #[prost(uint64, optional, tag = "2")]
    pub(super) after: Option<u64>,
}

/// What reading and subscribing answer with, again and again.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Events {
    #[prost(message, repeated, tag = "1")]
    pub(super) events: Vec<SequencedEvent>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HeadRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HeadResponse {
    #[prost(uint64, optional, tag = "1")]
    pub(super) position: Option<u64>,
}
