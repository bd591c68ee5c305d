//! What cannot be shown is said in words.

use crate::{get, open, start};

#[tokio::test]
async fn what_cannot_be_shown_is_said_on_a_page() {
    let (retold, service) = open().await;
    start(&retold, "42").await;
    for (address, status, words) in [
        ("/streams/Issue/43", 404, "There is no stream Issue/43."),
        ("/streams/1ssue/42", 400, "aggregateType: must be a letter"),
        ("/streams/Issue/%FF", 400, "not percent-encoded UTF-8"),
        (
            "/streams/Issue/%00",
            400,
            "aggregateId: must not hold control",
        ),
        ("/streams/Issue/42?at=last", 400, "counted from 1"),
        (
            "/streams/Issue/42?at=1&at=2",
            400,
            "What follows the question mark",
        ),
        (
            "/streams/Issue/a/b",
            404,
            "There is no page at this address.",
        ),
        ("/events/42", 400, "An event id is a UUID."),
        (
            "/events/00000000-0000-7000-8000-000000000000",
            404,
            "There is no event",
        ),
        (
            "/correlations/none",
            404,
            "no event with the correlation none",
        ),
        ("/correlations/none?after=99", 400, "past the head"),
        ("/?type=%3C", 400, "aggregateType: must be"),
        ("/?type=Issue&after=..", 400, "aggregateId: must not be"),
    ] {
        let answer = get(&service, address).await;
        assert_eq!(answer.status.as_u16(), status, "{address}");
        assert!(answer.body.contains(words), "{address}: {}", answer.body);
        assert!(answer.body.contains("See all streams"), "{address}");
    }
}
