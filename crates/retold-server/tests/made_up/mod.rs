//! A store that is filled with made-up issues, hostile ids and payloads among them, and the
//! service over it: for the browser test, and for looking at the console while working on it.

use std::time::Duration;

use axum::Router;
use retold::consumer::ConsumerSettings;
use retold::{Error, NewEvent, Retold, StreamId, Timestamp, Transition};
use retold_server::{App, Options};
use serde_json::json;

/// Issues: more than a page of them.
const ISSUES: usize = 60;

/// Events of the long stream: many pages.
const LONG: usize = 2_000;

/// Far longer than reading the log takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A text that tries to break out of wherever it is put.
pub(crate) const BREAKOUT: &str =
    "</pre><script>window.broken = true</script><img src=x onerror=\"window.broken=true\">";

/// The service over a filled store in memory.
pub(crate) async fn service() -> Result<Router, Error> {
    let builder = Retold::builder().builtin_machines().builtin_projections();
    let retold = builder.open("memory:").await?;
    fill(&retold).await?;
    Ok(retold_server::router(App::new(retold, Options::default())))
}

async fn fill(retold: &Retold) -> Result<(), Error> {
    let issue = [
        (
            "TODO",
            "IN_PROGRESS",
            "start_work",
            "ana",
            "Next in the sprint",
        ),
        (
            "IN_PROGRESS",
            "BLOCKED",
            "block",
            "ben",
            "Waiting for the staging database",
        ),
        (
            "BLOCKED",
            "IN_PROGRESS",
            "unblock",
            "ben",
            "The database is back",
        ),
        (
            "IN_PROGRESS",
            "IN_REVIEW",
            "submit_review",
            "ana",
            "Ready: 3 files, all tests pass",
        ),
        (
            "IN_REVIEW",
            "IN_PROGRESS",
            "request_changes",
            "chi",
            "The migration needs a way back",
        ),
        (
            "IN_PROGRESS",
            "IN_REVIEW",
            "submit_review",
            "ana",
            "The migration can be undone now",
        ),
        ("IN_REVIEW", "MERGED", "merge", "chi", "Looks good"),
        (
            "MERGED",
            "DEPLOYED",
            "deploy",
            "pipeline@example.com",
            "Release 2026.11",
        ),
    ];
    let mut hours = 0;
    for nth in 1..=ISSUES {
        let id = format!("ISSUE-{nth:02}");
        let mut cause = None;
        for (from, to, event, actor, reason) in &issue[..1 + nth * 5 % issue.len()] {
            hours += 1;
            let mut transition = Transition::new("Issue", id.as_str())
                .from(*from)
                .to(*to)
                .event(*event)
                .actor(*actor)
                .reason(*reason)
                .correlation_id(format!("sprint-{}", nth / 8))
                .timestamp(at(hours));
            if let Some(cause) = cause {
                transition = transition.causation_id(cause);
            }
            let done = retold.transition(transition).await?;
            cause = Some(done.event.metadata.event_id.to_string());
        }
        let stream = StreamId::new("Issue", id.as_str())?;
        let comment =
            json!({"text": "Who looks after this one?", "mentions": ["ana"], "estimate": 1.50});
        if nth % 3 == 0 {
            let comment = NewEvent::new(stream, "issue.commented", &comment)?;
            retold
                .append(comment.actor("dee").tag("question").timestamp(at(hours)))
                .await?;
        }
    }
    hostile(retold).await?;
    long(retold).await?;
    consumers(retold).await
}

/// One consumer that has parked a few events and stands at the end, and one with a webhook that
/// is not sent.
async fn consumers(retold: &Retold) -> Result<(), Error> {
    let mut settings = ConsumerSettings::default();
    settings.filter.aggregate_types = vec!["Issue".into()];
    settings.attempts_max = 1;
    let mailer = retold.consumer("mailer", settings.clone()).await?;
    let errors = [
        "deliver to ana@example.com: mailbox full".to_owned(),
        format!("{BREAKOUT} {}", "long".repeat(60)),
        "deliver to ben@example.com: no such address".to_owned(),
    ];
    let taken = mailer.fetch(errors.len(), PATIENCE).await;
    for (delivery, error) in taken.iter().zip(errors) {
        // It was taken a moment ago.
        let _ = mailer.reject([delivery.fence], error).await;
    }
    let receiver = json!({"url": "http://127.0.0.1:9/hook", "secret": "hook"});
    settings.webhook = Some(receiver);
    retold.consumer("notifier", settings).await?;
    Ok(())
}

/// A made-up instant, some hours after the first.
fn at(hours: i64) -> Timestamp {
    /// 2026-11-02T08:00:00Z.
    const BEGINNING: i64 = 1_793_606_400_000_000;
    Timestamp::from_micros(BEGINNING + hours * 1_260_000_000).unwrap_or(Timestamp::MAX)
}

/// Ids and texts that try to break out of the page.
async fn hostile(retold: &Retold) -> Result<(), Error> {
    let script = BREAKOUT;
    let ids = [
        "a/b/c".to_owned(),
        "100% & \"quoted\" 'single' <b>bold</b>".to_owned(),
        "%2e%2e%2f".to_owned(),
        "crab \u{1F980} \u{202E}right to left".to_owned(),
        "?at=1#top".to_owned(),
        BREAKOUT.to_owned(),
        "i".repeat(512),
    ];
    for id in ids {
        let transition = Transition::new("Issue", id.as_str())
            .to("IN_PROGRESS")
            .event("start_work")
            .actor(script)
            .reason(format!("{script} {}", "long".repeat(100)))
            .correlation_id("'\"><script>window.broken = true</script>")
            .context(&json!({ script: script, "deep": [[[{"a": "x".repeat(300)}]]] }))
            .tag(script);
        retold.transition(transition).await?;
        let stream = StreamId::new("Issue", id.as_str())?;
        let event = NewEvent::new(stream, script, &json!(script))?;
        retold.append(event.causation_id(script)).await?;
    }
    Ok(())
}

async fn long(retold: &Retold) -> Result<(), Error> {
    let stream = StreamId::new("Sensor", "greenhouse-7")?;
    let mut events = Vec::new();
    for nth in 0..LONG {
        let reading = json!({"celsius": 18.0 + (nth % 80) as f64 / 10.0, "nth": nth});
        let event = NewEvent::new(stream.clone(), "temperature.measured", &reading)?;
        events.push(event.actor("probe-3").timestamp(at(nth as i64)));
    }
    for chunk in events.chunks(500) {
        retold.append(chunk.to_vec()).await?;
    }
    Ok(())
}
