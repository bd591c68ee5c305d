//! The work of a bulk append: lines at hand are appended side by side, those of one stream one
//! after the other.

use std::collections::HashMap;

use axum::body::Body;
use bytes::Bytes;
use futures::future::join_all;
use retold::{Appended, EventId, Expected, NewEvent, RecordedEvent, StreamId};
use tokio::time::{Instant, sleep};

use crate::App;
use crate::api::answer::{Code, Problem};
use crate::api::limits::{
    BULK_BUSY_PAUSE, BULK_BUSY_TIME_MAX, BULK_BYTES_AT_ONCE, BULK_LINES_AT_ONCE,
    SMALL_BODY_BYTES_MAX,
};
use crate::api::request::{EventFields, Fields, Line, Lines, Trace, new_event, text};

/// What one line came to.
pub(super) struct Outcome {
    pub(super) number: u64,
    pub(super) result: Result<(bool, RecordedEvent), Problem>,
}

/// A line that is an event.
struct Parsed {
    at: usize,
    event: NewEvent,
    expected: Expected,
}

/// The lines that are being appended.
pub(super) struct Bulk {
    appender: Appender,
    trace: Trace,
    lines: Lines,
    /// A line that must wait for those before it.
    put_back: Option<Line>,
}

impl Bulk {
    pub(super) fn new(app: App, trusts: bool, trace: Trace, body: Body) -> Bulk {
        Bulk {
            appender: Appender { app, trusts },
            trace,
            lines: Lines::new(body),
            put_back: None,
        }
    }

    /// Appends the lines that are at hand, at least one; none at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Outcome>>, Problem> {
        let first = match self.put_back.take() {
            Some(line) => line,
            None => match self.lines.next().await? {
                Some(line) => line,
                None => return Ok(None),
            },
        };
        let mut numbers = Vec::new();
        let mut refused: Vec<(usize, Problem)> = Vec::new();
        let mut chains: HashMap<StreamId, Vec<Parsed>> = HashMap::new();
        let mut ids: HashMap<EventId, StreamId> = HashMap::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(line) = next {
            let at = numbers.len();
            match self.parse(&line, at) {
                Ok(parsed) => {
                    // Streams are appended side by side; the same id in two of them must be
                    // judged in the order of the lines.
                    let stream = parsed.event.stream.clone();
                    let id = parsed.event.metadata.event_id;
                    if ids.get(&id).is_some_and(|known| *known != stream) {
                        self.put_back = Some(line);
                        break;
                    }
                    ids.insert(id, stream.clone());
                    chains.entry(stream).or_default().push(parsed);
                }
                Err(problem) => refused.push((at, problem)),
            }
            numbers.push(line.number);
            bytes += line.text.as_ref().map_or(0, Bytes::len);
            let is_full = numbers.len() >= BULK_LINES_AT_ONCE || bytes >= BULK_BYTES_AT_ONCE;
            next = match is_full {
                true => None,
                false => self.lines.next_at_hand(),
            };
        }
        let appender = &self.appender;
        let appended = join_all(chains.into_values().map(|chain| appender.append(chain))).await;
        let mut results: Vec<Option<Result<_, Problem>>> = numbers.iter().map(|_| None).collect();
        for (at, problem) in refused {
            results[at] = Some(Err(problem));
        }
        for chain in appended {
            for (at, result) in chain? {
                results[at] = Some(result);
            }
        }
        let outcomes = numbers.into_iter().zip(results);
        let outcomes = outcomes.filter_map(|(number, result)| {
            let result = result?;
            Some(Outcome { number, result })
        });
        Ok(Some(outcomes.collect()))
    }

    fn parse(&self, line: &Line, at: usize) -> Result<Parsed, Problem> {
        let Some(bytes) = &line.text else {
            return Err(Problem::too_large("body", SMALL_BODY_BYTES_MAX));
        };
        let mut fields = Fields::of_body(text(bytes)?)?;
        let expected = fields.expected()?.unwrap_or(Expected::Any);
        let event = new_event(&mut fields, None, &self.trace)?;
        fields.finish()?;
        Ok(Parsed {
            at,
            event,
            expected,
        })
    }
}

/// Appends lines that are events.
struct Appender {
    app: App,
    trusts: bool,
}

impl Appender {
    /// Appends the lines of one stream, one after the other.
    ///
    /// # Errors
    /// A problem that ends the whole call: the log stays busy.
    async fn append(
        &self,
        chain: Vec<Parsed>,
    ) -> Result<Vec<(usize, Result<(bool, RecordedEvent), Problem>)>, Problem> {
        let mut results = Vec::with_capacity(chain.len());
        for parsed in chain {
            let at = parsed.at;
            let result = self.append_one(&parsed).await;
            if let Err(problem) = &result
                && problem.code == Code::Busy
            {
                return Err(problem.clone());
            }
            results.push((at, result));
        }
        Ok(results)
    }

    /// Appends one line. While the log is busy it waits: an answer of `busy` would let later
    /// lines of the stream overtake this one.
    async fn append_one(&self, parsed: &Parsed) -> Result<(bool, RecordedEvent), Problem> {
        let deadline = Instant::now() + BULK_BUSY_TIME_MAX;
        loop {
            let call = self.app.retold().append(parsed.event.clone());
            let call = call.expect(parsed.expected);
            let call = match self.trusts {
                true => call.trust_transitions(),
                false => call,
            };
            match call.await.map_err(Problem::from) {
                Ok(Appended { is_new, mut events }) => {
                    let event = events.pop().ok_or_else(|| {
                        Problem::new(Code::Internal, "learn what the append recorded")
                    })?;
                    return Ok((is_new, event));
                }
                Err(problem) if problem.code == Code::Busy && Instant::now() < deadline => {
                    sleep(BULK_BUSY_PAUSE).await;
                }
                Err(problem) => return Err(problem),
            }
        }
    }
}
