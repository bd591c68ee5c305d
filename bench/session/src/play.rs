//! The session itself: opens the store, and answers points until its standard input ends.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::event::BATCH;
use crate::point::{Answer, Figures, Point};
use crate::target::Target;
use crate::workload::{CONTIGUOUS, SCATTERED, Workload};
use crate::{appends, cache, live, reads};

/// How a session is played.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Where a folder for the store is made; it is removed at the end
    #[arg(long)]
    folder: PathBuf,
    /// How long a point lasts
    #[arg(long)]
    seconds: f64,
}

/// Plays a session of a store. A point that fails ends it.
pub async fn play<T: Target>(arguments: &Arguments) -> anyhow::Result<()> {
    let outcome = session::<T>(arguments).await;
    if let Err(error) = &outcome {
        tell(&Answer::Failed(format!("{error:#}")))?;
    }
    Ok(())
}

async fn session<T: Target>(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&arguments.folder).context("make a folder for a store")?;
    let mut session = Session {
        folder: folder.path(),
        target: Some(Arc::new(T::open(folder.path()).await?)),
        workload: Workload::default(),
        lasting: Duration::from_secs_f64(arguments.seconds),
    };
    tell(&Answer::Ready(session.target()?.version().await?))?;
    for line in std::io::stdin().lock().lines() {
        let point = serde_json::from_str(&line.context("read a point")?);
        let point: Point = point.context("read a point")?;
        let measured = session.measure(point).await;
        tell(&measured.with_context(|| format!("measure {point:?}"))?)?;
    }
    session.close().await
}

fn tell(answer: &Answer) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", serde_json::to_string(answer)?)
        .and_then(|()| output.flush())
        .context("answer")
}

struct Session<'a, T> {
    folder: &'a Path,
    /// None only between closing and opening.
    target: Option<Arc<T>>,
    workload: Workload,
    lasting: Duration,
}

impl<T: Target> Session<'_, T> {
    async fn measure(&mut self, point: Point) -> anyhow::Result<Answer> {
        let answer = |figures: Option<Figures>| match figures {
            Some(figures) => Answer::Figures(figures),
            None => Answer::NotOffered,
        };
        let bytes = |value| {
            Answer::Figures(Figures {
                value,
                ..Figures::default()
            })
        };
        let (target, workload) = (self.target()?, &mut self.workload);
        Ok(match point {
            Point::Load { events } => {
                while let Some(events) = workload.contiguous() {
                    target.load(events).await.context("load")?;
                }
                while workload.events() < events {
                    target.load(workload.spread()).await.context("load")?;
                }
                Answer::Done
            }
            Point::Rest => {
                drop(target);
                let mut size = 0;
                self.reopen(|folder| {
                    size = cache::bytes_of(folder)?;
                    Ok(())
                })
                .await?;
                bytes(size as f64 / self.workload.events() as f64)
            }
            Point::Memory => bytes(target.resident_bytes()? as f64),
            Point::Append { events, .. } if events > T::EVENTS_MAX => Answer::NotOffered,
            Point::Bulk { .. } if BATCH > T::EVENTS_MAX => Answer::NotOffered,
            Point::Append { appenders, events } => {
                let lasting = self.lasting;
                Answer::Figures(
                    appends::measure(&target, workload, appenders, events, lasting).await?,
                )
            }
            Point::Bulk { appenders } => {
                Answer::Figures(appends::bulk(&target, workload, appenders, self.lasting).await?)
            }
            Point::Contiguous { cold } => {
                drop(target);
                answer(self.stream(CONTIGUOUS, cold).await?)
            }
            Point::Scattered { cold } => {
                drop(target);
                answer(self.stream(SCATTERED, cold).await?)
            }
            Point::Log => answer(reads::log(&*target, workload, self.lasting).await?),
            Point::Live => answer(live::measure(&target, workload, self.lasting).await?),
        })
    }

    async fn stream(&mut self, aggregate: usize, cold: bool) -> anyhow::Result<Option<Figures>> {
        if cold {
            self.reopen(cache::drop_pages).await?;
        }
        let target = self.target()?;
        reads::stream(&*target, &self.workload, aggregate, cold).await
    }

    /// Closes the store, does something with its folder, and opens it again.
    async fn reopen(
        &mut self,
        between: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.close().await?;
        between(self.folder)?;
        self.target = Some(Arc::new(T::open(self.folder).await?));
        Ok(())
    }

    async fn close(&mut self) -> anyhow::Result<()> {
        let target = self.target.take().and_then(Arc::into_inner);
        let target = target.context("close a store that nothing uses")?;
        target.close().await.context("close the store")
    }

    fn target(&self) -> anyhow::Result<Arc<T>> {
        self.target.clone().context("use a store that is open")
    }
}
