//! Readers that stop in the middle of an answer.

use std::time::Duration;

use crate::support::{Running, eventually, serve_without_projections};

/// Events of nearly a mebibyte each: an answer is far longer than what a connection buffers.
const EVENTS: usize = 48;

/// Readers of all of them, which would take a page of 16 MiB each.
const READERS: usize = 40;

/// What all answers may hold together.
const ANSWERS_BYTES: usize = 64 * 1024 * 1024;

/// What the process may grow by on top: buffers of connections, pieces in between, and what the
/// allocator keeps for each thread. All pages would be 640 MiB.
const SLACK_BYTES: u64 = 256 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_are_ended_and_hold_bounded_memory() {
    let server = serve_without_projections(|limits| {
        limits.answers_bytes = ANSWERS_BYTES;
        limits.write_stall = Duration::from_millis(300);
    })
    .await;
    server.fill(EVENTS).await;
    let before = resident_bytes();
    let mut readers = Vec::new();
    for nth in 0..READERS {
        let (path, accept) = match nth % 4 {
            0 => ("/v1/events", "accept: text/event-stream"),
            1 => ("/v1/events", "accept: application/json"),
            2 => ("/v1/events", "accept: application/x-ndjson"),
            _ => (
                "/v1/streams/Note/large/events",
                "accept: application/x-ndjson",
            ),
        };
        let head = server.head(&format!("GET {path}"), &[accept]) + "\r\n";
        readers.push(server.begin(&head).await);
    }
    let mut most = Seen::default();
    eventually("the end of those who stopped", async || {
        // Who writes is served all the while.
        assert_eq!(server.append("small").await, 201);
        most.see(&server).await
    })
    .await;
    assert!(most.answers > 0, "no reader held anything");
    assert!(most.answers <= ANSWERS_BYTES as u64, "{}", most.answers);
    let grown = most.resident.saturating_sub(before);
    println!("grew by {} MiB at most", grown >> 20);
    assert!(grown < ANSWERS_BYTES as u64 + SLACK_BYTES, "{grown} bytes");
    drop(readers);
    // And whoever reads on is served as ever.
    let all = server.get("/v1/events?aggregateType=Note").await;
    assert_eq!(all.status, 200);
    assert!(all.body.len() > 10 << 20);
    server.forgets_its_clients().await;
    server.stop().await;
}

/// The most that was seen.
#[derive(Default)]
struct Seen {
    answers: u64,
    resident: u64,
}

impl Seen {
    /// Looks again; whether all who stopped are gone.
    async fn see(&mut self, server: &Running) -> bool {
        let answers = server.metric("retold_http_answer_bytes").await;
        self.answers = self.answers.max(answers);
        self.resident = self.resident.max(resident_bytes());
        server.metric("retold_http_connections").await == 1
    }
}

/// What this process has allocated and lies in memory; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
