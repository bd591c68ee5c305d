//! The program itself, as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fs, io, thread};

use crate::Outcome;
use crate::client::Client;

/// `retold serve`; ended when this is dropped.
pub(crate) struct Server {
    process: Child,
    url: String,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Outcome<Server> {
        let mut process = Command::new(program()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--store")
            .arg(folder)
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = process.stderr.take().ok_or("read what the server logs")?;
        let mut lines = BufReader::new(stderr);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let log: serde_json::Value = serde_json::from_str(&line)?;
            if let Some(url) = log["url"].as_str() {
                let url = url.to_owned();
                // Its logs go on and must not fill the pipe.
                thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
                return Ok(Server { process, url });
            }
            line.clear();
        }
        Err(format!("start the server ({})", process.wait()?).into())
    }

    pub(crate) fn connect(&self) -> Outcome<Client> {
        Client::connect(self.url.trim_start_matches("http://"))
    }

    pub(crate) fn import(&self, file: &Path) -> Outcome<()> {
        let mut import = Command::new(program()?);
        import
            .args(["import", "--type", "Ticket", "--store", &self.url])
            .arg(file);
        let status = import
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("import {} ({status})", file.display()).into()),
        }
    }

    /// What of it lies in memory; known on Linux only.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        let kib: u64 = kib.ok_or("find the memory of the server")?.parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Everything that was acknowledged is durable; a process that is gone is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program that was built with this.
fn program() -> Outcome<PathBuf> {
    let example = env::current_exe()?;
    let folder = example.parent().and_then(Path::parent);
    let program = folder.map(|folder| folder.join("retold"));
    program
        .filter(|program| program.is_file())
        .ok_or_else(|| "find the program `retold`: build it first with the same profile".into())
}
