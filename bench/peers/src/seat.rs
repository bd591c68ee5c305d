//! The side of a session that asks: the process of one store, and the points that it answers.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use session::{Answer, Figures, Point};

use crate::contestant::Contestant;

/// A store that takes part. When this is dropped its input ends; then it closes its store, stops
/// its server, removes its folder, and is waited for.
pub(crate) struct Seat {
    pub(crate) contestant: Contestant,
    pub(crate) version: String,
    process: Child,
    /// None only while it is dropped.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Seat {
    /// Starts its process on a folder below the one given.
    pub(crate) fn take(
        contestant: Contestant,
        folder: &Path,
        seconds: f64,
    ) -> anyhow::Result<Seat> {
        let (program, arguments) = contestant.program()?;
        let mut process = Command::new(program)
            .args(arguments)
            .arg("--folder")
            .arg(folder)
            .args(["--seconds", &seconds.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start its process")?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("read its answers")?;
        let mut seat = Seat {
            contestant,
            version: String::new(),
            process,
            input,
            output: BufReader::new(output),
        };
        match seat.answer()? {
            Answer::Ready(version) => seat.version = version,
            other => bail!("begin: it answered {other:?}"),
        }
        Ok(seat)
    }

    /// Lets it measure a point; none where it does not offer that.
    pub(crate) fn measure(&mut self, point: Point) -> anyhow::Result<Option<Figures>> {
        let input = self.input.as_mut().context("ask")?;
        writeln!(input, "{}", serde_json::to_string(&point)?).context("ask")?;
        match self.answer()? {
            Answer::Figures(figures) => Ok(Some(figures)),
            Answer::Done | Answer::NotOffered => Ok(None),
            Answer::Failed(error) => bail!("{error}"),
            Answer::Ready(_) => bail!("measure {point:?}: it began anew"),
        }
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).context("read an answer")?;
        if read == 0 {
            bail!("read an answer: its process has ended");
        }
        match serde_json::from_str(&line).context("read an answer")? {
            Answer::Failed(error) => bail!("{error}"),
            answer => Ok(answer),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.input.take());
        // How it ends changes no figure.
        let _ = self.process.wait();
    }
}
