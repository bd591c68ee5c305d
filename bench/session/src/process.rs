//! A server that a target starts, on a port of its own; ended when it is dropped.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::target::resident_bytes;

/// How long a server may take to start, or to stop: it may have to look through its log.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// The process of a server.
pub struct Server {
    process: Child,
    name: String,
}

impl Server {
    /// Starts it and waits until something listens on the port.
    pub fn start(mut command: Command, port: u16) -> anyhow::Result<Server> {
        let name = command.get_program().display().to_string();
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let mut server = Server { process, name };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = server.process.try_wait()? {
                bail!("start {} ({status})", server.name);
            }
            if started.elapsed() > PATIENCE {
                bail!("start {} within {PATIENCE:?}", server.name);
            }
            std::thread::sleep(LOOK);
        }
        Ok(server)
    }

    /// Asks it to end, and waits for that.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let process = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(process.context("name a process")?, Signal::TERM)
            .with_context(|| format!("stop {}", self.name))?;
        let started = Instant::now();
        while self.process.try_wait()?.is_none() {
            if started.elapsed() > PATIENCE {
                bail!("stop {} within {PATIENCE:?}", self.name);
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// What of it lies in memory.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        resident_bytes(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it was stopped these do nothing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nothing listens on.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a port")?;
    Ok(listener.local_addr().context("find a port")?.port())
}
