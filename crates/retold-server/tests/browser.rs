//! Drives the console with a real browser: `browser/console.mjs` says what is done and seen.
//!
//! It needs Node.js, a Chromium, and what `npm ci` installs in `tests/browser`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod made_up;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// The programs that will do, the one named in `RETOLD_BROWSER` first.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Far longer than the whole takes on two busy cores, and short enough for whoever waits.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_person_finds_a_stream_travels_and_takes_a_transition() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let browser = match found(&scripts) {
        Ok(browser) => browser,
        Err(missing) => {
            println!("SKIPPED: {missing}");
            return;
        }
    };
    let service = made_up::service().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, service).await });

    // The pictures are for people to look at, beside other products of the build.
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    let mut node = tokio::process::Command::new("node");
    node.arg(scripts.join("console.mjs"))
        .args([address.as_str(), made_up::BREAKOUT])
        .args([&browser, &pictures])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let outcome = tokio::time::timeout(PATIENCE, node.status()).await;
    server.abort();
    let status = outcome.expect("the browser took too long").unwrap();
    assert!(status.success(), "the browser test failed: {status}");
}

/// The browser, where all that is needed is there; else what is missing.
fn found(scripts: &Path) -> Result<PathBuf, String> {
    let named = env::var_os("RETOLD_BROWSER").map(PathBuf::from);
    let browser = named.or_else(|| BROWSERS.iter().find_map(|name| on_path(name)));
    let Some(browser) = browser else {
        return Err("no browser; install chromium, or name one in RETOLD_BROWSER".into());
    };
    if on_path("node").is_none() {
        return Err("no Node.js; install version 20 or newer".into());
    }
    if !scripts.join("node_modules/playwright-core").is_dir() {
        return Err(format!("run `npm ci` in {}", scripts.display()));
    }
    Ok(browser)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    let mut candidates = env::split_paths(&folders).map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file())
}
