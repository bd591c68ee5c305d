//! The server as a process: what it tells others, how it ends, and what bad clients cost it.

mod support;

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{PATIENCE, Server, retold, text};

#[test]
fn lock_names_the_server_and_its_end_is_orderly() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let lock = std::fs::read_to_string(folder.path().join("data/LOCK")).unwrap();
    assert_eq!(
        lock,
        format!("process {}\n{}\n", server.child.id(), server.url())
    );
    server.terminate();
    assert!(server.ended().success());
    // The folder is free again.
    let mut server = Server::start(folder.path(), &[]);
    server.terminate();
    assert!(server.ended().success());
}

#[test]
fn a_second_server_of_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let output = support::run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains(&server.url()),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn metrics_are_counted_by_route() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.request("GET /metrics");
    server.request("GET /made/up");
    let metrics = server.request("GET /metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(
        metrics.contains("application/openmetrics-text"),
        "{metrics}"
    );
    for wanted in [
        "retold_http_requests_total{method=\"GET\",route=\"/metrics\",status=\"200\"} 1",
        "retold_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "retold_http_request_seconds_bucket{le=\"0.0005\",method=\"GET\",route=\"/metrics\"}",
        "retold_http_requests_at_work 1",
        "retold_log_head_position 0",
        "retold_group_events_count 0",
        "retold_group_write_seconds_bucket{le=\"+Inf\"} 0",
        "retold_hot_state_misses_total 0",
        "retold_snapshots_made_total 0",
    ] {
        assert!(metrics.contains(wanted), "{wanted} in {metrics}");
    }
}

#[test]
fn idle_connections_do_not_keep_others_out_nor_the_server_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let idle: Vec<_> = (0..500).map(|_| server.connect()).collect();
    let mut half = server.connect();
    half.write_all(b"POST /v1/streams/A/1/events HTTP/1.1\r\ncontent-")
        .unwrap();
    assert!(server.request("GET /metrics").starts_with("HTTP/1.1 200"));
    let began = Instant::now();
    server.terminate();
    assert!(server.ended().success());
    // Whoever has sent half a request is not waited for longer than the time of grace.
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    drop(idle);
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut stream = server.connect();
    let head = format!(
        "GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(400_000)
    );
    // The server may close before everything is sent.
    let _ = stream.write_all(head.as_bytes());
    let mut answer = [0; 12];
    let refused = stream.read_exact(&mut answer).is_err() || answer.starts_with(b"HTTP/1.1 4");
    assert!(refused, "{}", text(&answer));
    assert!(server.request("GET /metrics").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_demo_fills_its_folder_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = retold(folder.path(), &["demo", "--listen", "127.0.0.1:0"]);
    let mut demo = demo
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stdout = demo.stdout.take().unwrap();
    let began = Instant::now();
    while !said.contains("ends the demo") {
        let mut piece = [0; 1024];
        let read = stdout.read(&mut piece).unwrap();
        assert!(read > 0 && began.elapsed() < PATIENCE, "{said}");
        said.push_str(&text(&piece[..read]));
    }
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert!(said.contains("made up"), "{said}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (issues, executions) = runtime.block_on(async {
        let retold = retold::Retold::open(folder.path().join("demo-data"))
            .await
            .unwrap();
        let count = async |aggregate_type: &str| {
            let query = retold::StreamsQuery {
                aggregate_type: Some(aggregate_type.into()),
                limit: 1_000,
                ..retold::StreamsQuery::default()
            };
            retold.streams(query).await.unwrap().streams.len()
        };
        (count("Issue").await, count("Execution").await)
    });
    assert!((30..=44).contains(&issues), "{issues} issues");
    assert!(executions > 10, "{executions} executions");
}
