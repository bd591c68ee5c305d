//! Progress of long work, on standard error, where a person looks at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Output;

/// How often the line moves when nothing else moves it.
const TICK: Duration = Duration::from_millis(200);

/// A line that says how far the work has come; nothing is shown to programs.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Work of a known or unknown number of events.
    pub(crate) fn new(output: &Output, what: &'static str, total: Option<u64>) -> Progress {
        // indicatif itself shows nothing where standard error is not a terminal.
        let target = match output.json {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match total {
            Some(_) => "{msg} {human_pos} of {human_len} ({percent} %), {per_sec}, {eta} left",
            None => "{msg} {human_pos}, {per_sec}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        Progress(bar)
    }

    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    pub(crate) fn add(&self, events: u64) {
        self.0.inc(events);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
