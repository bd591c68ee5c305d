//! The made-up world of a demo: which issues and executions there are, and what happens to them
//! next. Everything goes through the same calls as real work, so the machines judge it.

use retold::{EventId, Machine, NewEvent, Retold, StreamId, StreamsQuery, Timestamp, Transition};
use serde_json::json;

use super::story::{PEOPLE, REMARKS, TITLES, reasons};
use crate::chance::Chance;

/// Issues of the past.
const ISSUES: u64 = 40;

/// Unfinished issues below which another one is opened while the demo runs.
const UNFINISHED: usize = 12;

/// Issues that are opened at most: a demo that is forgotten for a week ends by itself.
const ISSUES_MAX: u64 = 2_000;

/// Streams in one page of a list.
const PAGE: usize = 1_000;

/// What happens.
pub(super) struct World {
    issues: Vec<Issue>,
    opened: u64,
    executions: u64,
    chance: Chance,
    issue: Machine,
    execution: Machine,
}

struct Issue {
    number: u64,
    status: String,
    /// The newest run of its pipeline.
    run: Option<Run>,
    last_event: Option<EventId>,
}

struct Run {
    id: String,
    status: String,
}

impl Default for World {
    fn default() -> Self {
        let (seed, _) = EventId::now_v7().as_u64_pair();
        World {
            issues: Vec::new(),
            opened: 0,
            executions: 0,
            chance: Chance::new(seed),
            issue: Machine::issue(),
            execution: Machine::execution(),
        }
    }
}

impl World {
    /// The world that a log holds. Runs of pipelines that were on their way are left alone.
    pub(super) async fn load(retold: &Retold) -> anyhow::Result<World> {
        let mut world = World::default();
        for aggregate_type in ["Issue", "Execution"] {
            let mut query = StreamsQuery {
                aggregate_type: Some(aggregate_type.into()),
                limit: PAGE,
                ..StreamsQuery::default()
            };
            loop {
                let page = retold.streams(query.clone()).await?;
                for summary in page.streams {
                    let id = summary.stream.aggregate_id();
                    let number = id.rsplit('-').next().and_then(|number| number.parse().ok());
                    // Others are somebody's own, made while looking around.
                    let Some(number) = number else { continue };
                    if aggregate_type == "Execution" {
                        world.executions = world.executions.max(number);
                        continue;
                    }
                    let state = retold.state(aggregate_type, id.clone()).await?;
                    let status = state.status.unwrap_or_default();
                    world.opened = world.opened.max(number);
                    if !world.issue.final_states().contains(&status) {
                        world.issues.push(Issue {
                            number,
                            status,
                            run: None,
                            last_event: None,
                        });
                    }
                }
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
            }
        }
        Ok(world)
    }

    /// Something happened, in the past.
    pub(super) async fn past_step(&mut self, retold: &Retold, at: Timestamp) -> anyhow::Result<()> {
        let wants_more = self.issues.is_empty() || self.chance.percent(18);
        if wants_more && self.opened < ISSUES {
            return self.open(retold, at).await;
        }
        self.go_on(retold, at).await
    }

    /// Something happens.
    pub(super) async fn step(&mut self, retold: &Retold, at: Timestamp) -> anyhow::Result<()> {
        if self.issues.len() < UNFINISHED && self.opened < ISSUES_MAX {
            return self.open(retold, at).await;
        }
        self.go_on(retold, at).await
    }

    /// Something that is there goes on.
    async fn go_on(&mut self, retold: &Retold, at: Timestamp) -> anyhow::Result<()> {
        let places: Vec<usize> = (0..self.issues.len()).collect();
        let Some(&place) = self.chance.pick(&places) else {
            return Ok(());
        };
        let is_running = |status: &str| matches!(status, "PENDING" | "RUNNING" | "FAILED");
        if self.chance.percent(12) {
            return self.remark(retold, at, place).await;
        }
        let run = self.issues[place].run.as_ref();
        if run.is_some_and(|run| is_running(&run.status)) {
            return self.advance_run(retold, at, place).await;
        }
        self.advance(retold, at, place).await
    }

    async fn open(&mut self, retold: &Retold, at: Timestamp) -> anyhow::Result<()> {
        self.opened += 1;
        let number = self.opened;
        let nth = usize::try_from(number - 1).unwrap_or(0);
        let title = TITLES[nth % TITLES.len()];
        let priority = *self
            .chance
            .pick(&["low", "normal", "high"])
            .unwrap_or(&"normal");
        let payload = json!({"title": title, "priority": priority});
        let event_id = self
            .record(retold, at, number, "issue.opened", payload)
            .await?;
        self.issues.push(Issue {
            number,
            status: self.issue.initial().to_owned(),
            run: None,
            last_event: Some(event_id),
        });
        Ok(())
    }

    async fn remark(&mut self, retold: &Retold, at: Timestamp, place: usize) -> anyhow::Result<()> {
        let text = *self.chance.pick(&REMARKS).unwrap_or(&"");
        let number = self.issues[place].number;
        self.record(retold, at, number, "issue.commented", json!({"text": text}))
            .await?;
        Ok(())
    }

    async fn record(
        &mut self,
        retold: &Retold,
        at: Timestamp,
        number: u64,
        event_type: &str,
        payload: serde_json::Value,
    ) -> anyhow::Result<EventId> {
        let stream = StreamId::new("Issue", issue_id(number))?;
        let mut event = NewEvent::new(stream, event_type, &payload)?;
        event.metadata.timestamp = at;
        event.metadata.actor = self.chance.pick(&PEOPLE).map(|name| (*name).into());
        event.metadata.correlation_id = matter(number).into();
        let event_id = event.metadata.event_id;
        retold.append(event).await?;
        Ok(event_id)
    }

    /// Moves an issue on; when work starts, so does a run of its pipeline.
    async fn advance(
        &mut self,
        retold: &Retold,
        at: Timestamp,
        place: usize,
    ) -> anyhow::Result<()> {
        let issue = &self.issues[place];
        let ways = self.issue.available_from(&issue.status);
        let unlikely = ["cancel", "reject", "block", "request_changes"];
        let is_bold = self.chance.percent(15);
        let ways: Vec<(String, String)> = ways
            .into_iter()
            .filter(|way| is_bold || !unlikely.contains(&way.event.as_str()))
            .map(|way| (way.event, way.to_state))
            .collect();
        let Some((event, to)) = self.chance.pick(&ways).cloned() else {
            return Ok(());
        };
        let (number, from) = (issue.number, issue.status.clone());
        let by = *self.chance.pick(&PEOPLE).unwrap_or(&PEOPLE[0]);
        let transition = Transition::new("Issue", issue_id(number)).actor(by);
        let event_id = self
            .take(retold, at, transition, number, place, (&from, &event, &to))
            .await?;
        let is_final = self.issue.final_states().contains(&to);
        let issue = &mut self.issues[place];
        issue.status = to;
        issue.last_event = Some(event_id);
        if event == "start_work" {
            self.executions += 1;
            issue.run = Some(Run {
                id: format!("run-{}", self.executions),
                status: self.execution.initial().to_owned(),
            });
        }
        if is_final {
            self.issues.swap_remove(place);
        }
        Ok(())
    }

    /// Moves the run of an issue's pipeline on.
    async fn advance_run(
        &mut self,
        retold: &Retold,
        at: Timestamp,
        place: usize,
    ) -> anyhow::Result<()> {
        let issue = &self.issues[place];
        let Some(run) = &issue.run else { return Ok(()) };
        let (id, from, number) = (run.id.clone(), run.status.clone(), issue.number);
        let (event, to) = match from.as_str() {
            "PENDING" => ("execute", "RUNNING"),
            "FAILED" => ("retry", "PENDING"),
            _ if self.chance.percent(75) => ("complete", "COMPLETED"),
            _ if self.chance.percent(80) => ("fail", "FAILED"),
            _ => ("timeout", "TIMEOUT"),
        };
        let transition = Transition::new("Execution", id).actor("pipeline");
        let event_id = self
            .take(retold, at, transition, number, place, (&from, event, to))
            .await?;
        let issue = &mut self.issues[place];
        issue.last_event = Some(event_id);
        if let Some(run) = &mut issue.run {
            run.status = to.to_owned();
        }
        Ok(())
    }

    async fn take(
        &mut self,
        retold: &Retold,
        at: Timestamp,
        mut transition: Transition,
        number: u64,
        place: usize,
        (from, event, to): (&str, &str, &str),
    ) -> anyhow::Result<EventId> {
        transition = transition.from(from).to(to).event(event).timestamp(at);
        transition = transition.correlation_id(matter(number));
        if let Some(cause) = self.issues[place].last_event {
            transition = transition.causation_id(cause.to_string());
        }
        if let Some(reason) = self.chance.pick(reasons(event)) {
            transition = transition.reason(*reason);
        }
        let taken = retold.transition(transition).await?;
        Ok(taken.event.metadata.event_id)
    }
}

fn issue_id(number: u64) -> String {
    format!("DEMO-{number}")
}

/// What ties an issue and the runs of its pipeline together.
fn matter(number: u64) -> String {
    format!("matter-{number}")
}
