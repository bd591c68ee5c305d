//! The aggregate types that ship with a machine.

/// Something to be done, from the idea to what runs in production.
pub const ISSUE: &str = "Issue";

/// One run of something, or several attempts at it.
pub const EXECUTION: &str = "Execution";

/// The name that the id of a shipped type has of its own, beside `aggregateId`.
pub(crate) fn id_name(aggregate_type: &str) -> Option<&'static str> {
    match aggregate_type {
        ISSUE => Some("issueId"),
        EXECUTION => Some("executionId"),
        _ => None,
    }
}
