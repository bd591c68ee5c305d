//! Schemathesis against a running server with the document that the server gives of itself: no
//! crash, and no answer that the document does not describe. `schemathesis/hooks.py` says what a
//! document cannot: what lines and machines look like, and what every answer has in common.
//!
//! `cargo xtask setup` installs it. `RETOLD_SEED` replays a run, `RETOLD_TEST_SECONDS` says how
//! long it takes; `cargo xtask soak` goes on for longer.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use retold::{NewEvent, Retold, StreamId, Transition};

use crate::support::serve;

/// How long the whole run takes unless told otherwise; generating requests is what takes it.
const SECONDS: u64 = 60;

/// How much longer than told it may take: it finishes what it has begun.
const GRACE: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_are_answered_as_the_document_says() {
    let program = tools().join("schemathesis/bin/schemathesis");
    if !program.is_file() {
        println!("SKIPPED: no Schemathesis; install Python with venv, and run `cargo xtask setup`");
        return;
    }
    let seed = number("RETOLD_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 32);
    println!("seed {seed}: replay with RETOLD_SEED={seed}");
    let seconds = number("RETOLD_TEST_SECONDS").unwrap_or(SECONDS);
    let server = serve(|_| {}).await;
    fill(&server.retold).await;
    let work = tempfile::tempdir().unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served/schemathesis");
    let mut run = tokio::process::Command::new(program);
    run.arg("--config-file")
        .arg(scripts.join("schemathesis.toml"))
        .args(["--no-color", "run", &server.url("/openapi.json")])
        // It has no end.
        .args(["--exclude-operation-id", "follow_deliveries"])
        .args(["--seed", &seed.to_string()])
        .args(["--max-time", &seconds.to_string()])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", &scripts)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Examples that once failed are kept in the folder where it runs.
        .current_dir(work.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let patience = Duration::from_secs(seconds) + GRACE;
    let outcome = tokio::time::timeout(patience, run.status()).await;
    let status = outcome.expect("Schemathesis took too long").unwrap();
    server.stop().await;
    assert!(status.success(), "Schemathesis found something: {status}");
}

/// What the examples of the document name, and enough beside it for pages to go on.
async fn fill(retold: &Retold) {
    let start = Transition::new("Issue", "42")
        .to("IN_PROGRESS")
        .event("start_work");
    let event_id = "018f4e5a-7b1c-7d2e-8f30-4a5b6c7d8e9f".parse().unwrap();
    retold.transition(start.event_id(event_id)).await.unwrap();
    for nth in 0..300 {
        let stream = StreamId::new("Note", (nth % 120).to_string()).unwrap();
        let event = NewEvent::new(stream, "note.made", &nth).unwrap();
        retold.append(event.actor("ana").tag("t")).await.unwrap();
    }
    let snapshots = retold.snapshots("Issue", "42");
    snapshots.create().force().await.unwrap();
}

/// Where `cargo xtask setup` installs what the tests need.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools")
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect("a whole number"))
}
