//! The real program, run as a person runs it.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test file is a program of its own that uses a part of this"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The program with arguments, in a folder, and with nothing of the tester's settings.
pub fn retold(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retold"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("RETOLD_STORE")
        .env_remove("RUST_LOG")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    retold(folder, arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that must succeed, and gives the lines of JSON that it wrote.
pub fn lines(folder: &Path, store: &str, arguments: &[&str]) -> Vec<Value> {
    let all = [&["--store", store, "--json"], arguments].concat();
    let output = run(folder, &all);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    let written = text(&output.stdout);
    let parsed = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

/// The same for a command that writes one line.
pub fn one(folder: &Path, store: &str, arguments: &[&str]) -> Value {
    let mut lines = lines(folder, store, arguments);
    assert_eq!(lines.len(), 1, "{arguments:?}: {lines:?}");
    lines.remove(0)
}

/// The exit code of a command, and what it wrote to standard error.
pub fn code(folder: &Path, store: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let all = [&["--store", store], arguments].concat();
    let output = run(folder, &all);
    (output.status.code(), text(&output.stderr))
}

/// Appends to a stream of its own, one event after the other on one connection, until the server
/// takes no more; says each time that one was acknowledged, and in the end how many were.
pub fn append_until_refused(address: &str, writer: usize, acknowledged: impl Fn()) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let body = r#"{"eventType":"e","payload":null}"#;
    let request = format!(
        "POST /v1/streams/W/{writer}/events HTTP/1.1\r\nhost: {address}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut accepted = 0;
    while stream.write_all(request.as_bytes()).is_ok() {
        let (mut length, mut status) = (0, String::new());
        loop {
            let mut line = String::new();
            if answers.read_line(&mut line).unwrap_or(0) == 0 {
                return accepted;
            }
            let line = line.trim_end();
            if line.starts_with("HTTP/1.1") {
                status = line.to_owned();
            }
            if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = bytes.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if answers.read_exact(&mut body).is_err() {
            return accepted;
        }
        assert!(status.contains("201"), "{status}");
        accepted += 1;
        acknowledged();
    }
    accepted
}

/// Numbers that a seed decides (SplitMix64).
pub struct Random(AtomicU64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(AtomicU64::new(seed))
    }

    pub fn below(&self, bound: u64) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Reads a message: its first line and its body; none where the other side goes away.
pub fn read_message(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = bytes.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, String::from_utf8(body).ok()?))
}

/// Asks the server; none where it was killed before it has answered.
pub fn ask(address: &str, call: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = format!(
        "{call} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let (first, body) = read_message(&mut BufReader::new(stream))?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    Some((status, body))
}

/// The number that an environment variable holds.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A server of `folder/data`.
pub struct Server {
    pub child: Child,
    pub address: String,
}

impl Server {
    pub fn start(folder: &Path, arguments: &[&str]) -> Server {
        Server::listen(folder, "127.0.0.1:0", arguments)
    }

    /// A server at an address that was another's before.
    pub fn start_at(folder: &Path, address: &str) -> Server {
        Server::listen(folder, address, &[])
    }

    fn listen(folder: &Path, address: &str, arguments: &[&str]) -> Server {
        let mut all = vec!["serve", "--listen", address, "--log-format", "json"];
        all.extend(arguments);
        let mut child = retold(folder, &all).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the server ended");
            let log: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(url) = log["url"].as_str() {
                break url.trim_start_matches("http://").to_owned();
            }
        };
        // Its logs go on and must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Server { child, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a whole request and reads until the server closes.
    pub fn request(&self, head: &str) -> String {
        let mut stream = self.connect();
        write!(
            stream,
            "{head} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks it to end, as a supervisor does.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
