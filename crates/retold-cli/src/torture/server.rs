//! The server that is tortured: this very program, as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use crate::client::{Failure, Kind};

/// Lines of its log that are kept for the case that it does not start.
const LINES_KEPT: usize = 20;

/// A server process; it is killed when it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    /// From its start until it said where it listens, which is after the store was opened.
    pub(super) opened_in: Duration,
}

impl Server {
    /// Starts a server of a folder and waits until it says where it listens.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Server> {
        let folder = folder.to_owned();
        let started = tokio::task::spawn_blocking(move || start(&folder));
        started.await.context("start a server")?
    }

    /// Ends it as a power button would end a process: without a word, wherever it is.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("kill the server")?;
        self.child.wait().context("wait for the killed server")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.kill();
    }
}

fn start(folder: &Path) -> anyhow::Result<Server> {
    let program = std::env::current_exe().context("find this program")?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .arg("--store")
        .arg(folder)
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .env("RUST_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start a server")?;
    let stderr = child.stderr.take().context("read the server's log")?;
    let mut server = Server {
        child,
        url: String::new(),
        opened_in: Duration::ZERO,
    };
    let mut lines = BufReader::new(stderr).lines();
    let mut said = Vec::new();
    for line in lines.by_ref() {
        let line = line.context("read the server's log")?;
        let log: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(url) = log["url"].as_str() {
            server.url = url.to_owned();
            server.opened_in = began.elapsed();
            // Its log goes on and must not fill the pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(server);
        }
        said.push(line);
        if said.len() > LINES_KEPT {
            said.remove(0);
        }
    }
    let message = format!("start a server: it ended, saying {}", said.join("; "));
    Err(Failure::new(Kind::Failed, message).into())
}
