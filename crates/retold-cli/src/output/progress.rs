//! Progress of long work, on standard error, where a person looks at a terminal.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Output;

/// How often the line moves when nothing else moves it.
const TICK: Duration = Duration::from_millis(200);

/// A bar that says how far the work has come; nothing is shown to programs. It is gone when the
/// last copy is.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Shown>);

struct Shown(ProgressBar);

impl Progress {
    /// Work of a known or unknown number of events.
    pub(crate) fn new(output: &Output, what: &'static str, total: Option<u64>) -> Progress {
        Progress::with(
            output,
            what,
            total,
            "{msg} {bar:24} {human_pos} of {human_len}, {per_sec}, {eta} left",
            "{msg} {human_pos}, {per_sec}",
        )
    }

    /// Work of a known or unknown number of bytes.
    pub(crate) fn of_bytes(output: &Output, what: &'static str, total: Option<u64>) -> Progress {
        Progress::with(
            output,
            what,
            total,
            "{msg} {bar:24} {binary_bytes} of {binary_total_bytes}, {eta} left",
            "{msg} {binary_bytes}, {binary_bytes_per_sec}",
        )
    }

    fn with(
        output: &Output,
        what: &'static str,
        total: Option<u64>,
        known: &str,
        unknown: &str,
    ) -> Progress {
        // indicatif itself shows nothing where standard error is not a terminal.
        let target = match output.json {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(total, target);
        let style = ProgressStyle::with_template(match total {
            Some(_) => known,
            None => unknown,
        });
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        Progress(Arc::new(Shown(bar)))
    }

    pub(crate) fn set(&self, done: u64) {
        self.0.0.set_position(done);
    }

    pub(crate) fn add(&self, events: u64) {
        self.0.0.inc(events);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
