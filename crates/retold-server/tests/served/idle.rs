//! Connections on which nothing happens.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::support::{serve, within};

/// Connections that do nothing. Each is two files here, since the server is in this process.
const IDLE: usize = 1_000;

/// Half a request.
const HALF: &str = "POST /v1/streams/Note/1/events HTTP/1.1\r\ncontent-";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_keep_nobody_out() {
    allow_many_files();
    let server = serve(|_| {}).await;
    let mut idle = Vec::new();
    for nth in 0..IDLE {
        idle.push(match nth % 2 {
            0 => server.connect().await,
            _ => server.begin(HALF).await,
        });
    }
    for nth in 0..20 {
        assert_eq!(server.append("1").await, 201);
        let state = server.get("/v1/streams/Note/1/state").await.json();
        assert_eq!(state["sequenceNumber"], nth + 1);
    }
    let connections = server.metric("retold_http_connections").await;
    assert!(connections > IDLE as u64, "{connections} connections");
    // What was accepted half is not waited for longer than the time of grace.
    server.stop().await;
}

fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_ended() {
    let server = serve(|limits| limits.head_timeout = Duration::from_millis(200)).await;
    for begun in ["", HALF] {
        let mut stream = server.begin(begun).await;
        let mut answer = Vec::new();
        // An answer is not owed, and the end may be a reset.
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"));
    }
    server.forgets_its_clients().await;
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_their_turn() {
    let server = serve(|limits| limits.connections = 2).await;
    let first = server.connect().await;
    let _second = server.connect().await;
    let asked = server.append("1");
    tokio::pin!(asked);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut asked).await;
    assert!(early.is_err(), "a third connection was served");
    drop(first);
    assert_eq!(within(asked).await, 201);
}
