//! What a bulk append does with lines: streams side by side, the lines of one in their order.

use futures::future::join_all;
use retold::{Appended, Expected, Position, RecordedEvent};
use tokio::time::{Instant, sleep};

use super::gathering::{Gathered, Parsed};
use crate::App;
use crate::api::answer::{Code, Problem};
use crate::api::limits::{BULK_BUSY_PAUSE, BULK_BUSY_TIME_MAX};
use crate::api::request::Trace;

/// What one line came to.
pub(super) struct Outcome {
    pub(super) number: u64,
    pub(super) result: LineResult,
}

/// What an event came to; or why it was refused.
type LineResult = Result<Done, Problem>;

/// An event that stands in the log.
pub(super) struct Done {
    pub(super) is_new: bool,
    pub(super) position: Position,
    /// The event itself, where that is asked for.
    pub(super) event: Option<Box<RecordedEvent>>,
}

/// Appends lines that are events.
pub(super) struct Appender {
    pub(super) app: App,
    pub(super) trusts: bool,
    pub(super) trace: Trace,
    /// Whether the events are asked for.
    pub(super) wants_events: bool,
}

impl Appender {
    /// Appends lines, and says what each came to, in their order.
    ///
    /// # Errors
    /// A problem that ends the whole call: the log stays busy.
    pub(super) async fn append(&self, gathered: Gathered) -> Result<Vec<Outcome>, Problem> {
        let Gathered {
            numbers,
            refused,
            chains,
            ..
        } = gathered;
        let appended = join_all(chains.into_iter().map(|chain| self.append_chain(chain))).await;
        let mut results: Vec<Option<LineResult>> = numbers.iter().map(|_| None).collect();
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
        Ok(outcomes.collect())
    }

    /// Appends the lines of one stream. Each is an append of its own, so it must not matter that
    /// several are handed to the log together: what is refused then is handed over again in
    /// halves, until the line is found that is refused by itself.
    async fn append_chain(
        &self,
        mut chain: Vec<Parsed>,
    ) -> Result<Vec<(usize, LineResult)>, Problem> {
        let mut results = Vec::with_capacity(chain.len());
        let mut waiting = vec![&mut chain[..]];
        while let Some(lines) = waiting.pop() {
            let (run, rest) = lines.split_at_mut(at_once(lines));
            if !rest.is_empty() {
                waiting.push(rest);
            }
            match self.append_run(run).await {
                Ok(Appended { is_new, events }) => {
                    let done = |event: RecordedEvent| Done {
                        is_new,
                        position: event.position,
                        event: self.wants_events.then(|| Box::new(event)),
                    };
                    let events = run.iter().zip(events);
                    results.extend(events.map(|(line, event)| (line.at, Ok(done(event)))));
                }
                Err(problem) if problem.code == Code::Busy => return Err(problem),
                // What may have been written is not asked for again: a log that failed would say
                // of the second attempt that nothing was written.
                Err(problem) if problem.code == Code::UnknownOutcome => {
                    results.extend(run.iter().map(|line| {
                        let problem = problem.clone().event_ids(&[line.event_id]);
                        (line.at, Err(problem))
                    }));
                }
                // Nothing was written.
                Err(problem) => match run {
                    [line] => results.push((line.at, Err(problem))),
                    _ => {
                        let (first, second) = run.split_at_mut(run.len() / 2);
                        waiting.extend([second, first]);
                    }
                },
            }
        }
        Ok(results)
    }

    /// Appends lines in one go. While the log is busy it waits: an answer of `busy` would let
    /// later lines of the stream overtake these.
    async fn append_run(&self, run: &mut [Parsed]) -> Result<Appended, Problem> {
        let deadline = Instant::now() + BULK_BUSY_TIME_MAX;
        loop {
            let events = run.iter_mut().map(|line| line.take_event(&self.trace));
            let events = events.collect::<Result<Vec<_>, _>>()?;
            let call = self.app.retold().append(events).expect(run[0].expected);
            let call = match self.trusts {
                true => call.trust_transitions(),
                false => call,
            };
            match call.await.map_err(Problem::from) {
                Ok(appended) if appended.events.len() != run.len() => {
                    return Err(Problem::new(
                        Code::Internal,
                        "learn what the append recorded",
                    ));
                }
                Err(problem) if problem.code == Code::Busy && Instant::now() < deadline => {
                    sleep(BULK_BUSY_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// How many of the first lines can be handed over in one go: all but the first expect no more
/// than what holds behind the one before.
fn at_once(lines: &[Parsed]) -> usize {
    let before = match lines[0].expected {
        Expected::Sequence(sequence) => Some(sequence),
        Expected::NoStream => Some(0),
        Expected::Any | Expected::StreamExists => None,
    };
    let follows = |nth: usize| match lines[nth].expected {
        Expected::Any | Expected::StreamExists => true,
        Expected::Sequence(sequence) => {
            before.is_some_and(|before| before.checked_add(nth as u64) == Some(sequence))
        }
        Expected::NoStream => false,
    };
    let end = (1..lines.len()).find(|nth| !follows(*nth));
    end.unwrap_or(lines.len())
}
