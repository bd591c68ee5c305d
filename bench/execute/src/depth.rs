//! One command on an aggregate with a long history: while its state is in memory, and after the
//! log was opened anew.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use measuring::{Latencies, NOTE};
use retold::Retold;

use crate::account::{Account, AccountCommand};
use crate::report::{Table, shown};

/// How many aggregates of each length are filled: enough for a median, few enough to wait for.
const DEPTHS: [(u64, usize); 3] = [(10, 100), (1_000, 50), (100_000, 6)];

/// Commands on the one aggregate whose state is in memory.
const HOT_COMMANDS: usize = 1_000;

/// Events of a command that fills: what an append takes, and their size allows.
const FILL: u64 = 1_000;

/// Measures every length, with snapshots as by default and without any.
pub(crate) async fn measure(folder: &Path, table: &mut Table) -> anyhow::Result<()> {
    for (events, aggregates) in DEPTHS {
        let folder = folder.join(events.to_string());
        one::<{ retold::SNAPSHOT_EVERY_DEFAULT }>(&folder, events, aggregates, table).await?;
        one::<0>(&folder, events, aggregates, table).await?;
    }
    Ok(())
}

async fn one<const EVERY: u64>(
    folder: &Path,
    events: u64,
    aggregates: usize,
    table: &mut Table,
) -> anyhow::Result<()> {
    let retold = open(folder).await?;
    for nth in 0..aggregates {
        fill::<EVERY>(&retold, &id(nth), events).await?;
    }
    let mut hot = Latencies::default();
    for _ in 0..HOT_COMMANDS {
        // The first aggregate is not among those that are measured cold.
        hot.record(deposit::<EVERY>(&retold, &id(0)).await?)?;
    }
    retold.close().await.context("close the log")?;

    let retold = open(folder).await?;
    // What is done once a process, such as preparing statements, is not an aggregate's.
    deposit::<EVERY>(&retold, &id(0)).await?;
    let mut cold = Latencies::default();
    for nth in 1..aggregates {
        cold.record(deposit::<EVERY>(&retold, &id(nth)).await?)?;
    }
    retold.close().await.context("close the log")?;

    let snapshots = match EVERY {
        0 => "none".to_owned(),
        every => format!("every {every}"),
    };
    for (state, latencies) in [("hot", &hot), ("cold", &cold)] {
        table.row([
            events.to_string(),
            snapshots.clone(),
            state.to_owned(),
            latencies.count().to_string(),
            shown(latencies.percentile(50.0)),
            shown(latencies.percentile(99.0)),
        ]);
    }
    Ok(())
}

async fn open(folder: &Path) -> anyhow::Result<Retold> {
    Retold::open(folder).await.context("open a log")
}

fn id(nth: usize) -> String {
    format!("account-{nth:06}")
}

/// Opens an account and brings it to so many events.
async fn fill<const EVERY: u64>(retold: &Retold, id: &str, events: u64) -> anyhow::Result<()> {
    let opened = retold.execute::<Account<EVERY>>(id, AccountCommand::Open);
    let mut reached = opened.await.context("open an account")?.sequence_number;
    while reached < events {
        let fill = AccountCommand::Fill {
            deposits: FILL.min(events - reached),
            note: NOTE.to_owned(),
        };
        let filled = retold.execute::<Account<EVERY>>(id, fill);
        reached = filled.await.context("fill an account")?.sequence_number;
    }
    ensure!(reached == events, "fill an account with {events} events");
    Ok(())
}

/// How long one deposit takes.
async fn deposit<const EVERY: u64>(
    retold: &Retold,
    id: &str,
) -> anyhow::Result<std::time::Duration> {
    let deposit = AccountCommand::Deposit {
        amount: 1,
        note: NOTE.to_owned(),
    };
    let asked = Instant::now();
    let executed = retold.execute::<Account<EVERY>>(id, deposit).await;
    let took = asked.elapsed();
    executed.context("deposit")?;
    Ok(took)
}
