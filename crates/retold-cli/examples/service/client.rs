//! A client on one connection that stays open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::Outcome;

pub(crate) struct Client {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Outcome<Client> {
        let stream = TcpStream::connect(address)?;
        // What a client that waits for each answer does.
        stream.set_nodelay(true)?;
        Ok(Client {
            address: address.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> Outcome<Vec<u8>> {
        self.ask(
            "GET",
            path,
            "accept: text/html, application/json;q=0.9",
            b"",
        )
    }

    pub(crate) fn post(&mut self, path: &str, media_type: &str, body: &[u8]) -> Outcome<Vec<u8>> {
        self.ask("POST", path, &format!("content-type: {media_type}"), body)
    }

    /// The position of the newest event.
    pub(crate) fn head(&mut self) -> Outcome<u64> {
        let info: serde_json::Value = serde_json::from_slice(&self.get("/v1/info")?)?;
        info["head"]
            .as_u64()
            .ok_or_else(|| "find the head in /v1/info".into())
    }

    fn ask(&mut self, method: &str, path: &str, header: &str, body: &[u8]) -> Outcome<Vec<u8>> {
        let (address, length) = (&self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{header}\r\ncontent-length: {length}\r\n\r\n"
        );
        let request = [head.as_bytes(), body].concat();
        self.stream.get_mut().write_all(&request)?;
        let status = self.line()?;
        let mut length = None;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = Some(bytes.parse()?);
            }
        }
        // Everything that is asked for here is answered as a whole.
        let length = length.ok_or("find the length of an answer")?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        match status.split(' ').nth(1) {
            Some("200" | "201") => Ok(answer),
            _ => Err(format!(
                "{method} {path}: {status}: {}",
                String::from_utf8_lossy(&answer)
            )
            .into()),
        }
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
