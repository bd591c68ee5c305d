//! The two steps of a bulk append, of which one is ahead of the other: while lines are appended,
//! the next ones are read.

use std::sync::Arc;

use axum::body::Body;
use tokio::task::{JoinError, JoinHandle};

use super::appending::{Appender, Outcome};
use super::gathering::Gatherer;
use crate::api::answer::{Code, Problem};
use crate::api::request::Trace;

type Outcomes = Result<Vec<Outcome>, Problem>;

/// A bulk append.
pub(super) struct Bulk {
    gatherer: Gatherer,
    appender: Arc<Appender>,
    /// A task of its own: another processor reads meanwhile, and lines that came whole are
    /// appended also where the client goes away.
    appending: Option<JoinHandle<Outcomes>>,
}

impl Bulk {
    pub(super) fn new(appender: Appender, trace: Trace, body: Body) -> Bulk {
        Bulk {
            gatherer: Gatherer::new(trace, body),
            appender: Arc::new(appender),
            appending: None,
        }
    }

    /// What the next lines came to, at least one; none at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Outcome>>, Problem> {
        if self.appending.is_none() && !self.gatherer.is_full() {
            self.gatherer.gather().await;
            self.begin();
        }
        let Some(mut appending) = self.appending.take() else {
            return self.gatherer.end().map(|()| None);
        };
        let outcomes = loop {
            tokio::select! {
                outcomes = &mut appending => break finished(outcomes)?,
                () = self.gatherer.gather(), if !self.gatherer.is_full() => {}
            }
        };
        self.begin();
        Ok(Some(outcomes))
    }

    /// Begins to append what was gathered, if anything was.
    fn begin(&mut self) {
        let appender = &self.appender;
        self.appending = self.gatherer.take().map(|gathered| {
            let appender = Arc::clone(appender);
            tokio::spawn(async move { appender.append(gathered).await })
        });
    }
}

fn finished(outcomes: Result<Outcomes, JoinError>) -> Outcomes {
    outcomes.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "append the lines")))
}
