//! A round of cqrs-es on SQLite. It prints its figures as one line of JSON, which the program
//! `execute` reads: both cannot be one program, since they link two releases of SQLite.

mod account;
mod store;

use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use measuring::{Round, Step};

use crate::account::{Account, AccountCommand};

#[derive(Parser)]
#[command(about = "Plays a round of cqrs-es on SQLite; prints its figures as JSON")]
struct Arguments {
    #[command(flatten)]
    round: Round,
    #[command(flatten)]
    store: store::Settings,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let file = arguments.round.folder.join("events.db");
    let pool = arguments.store.open(&file).await?;
    let cqrs = Arc::new(sqlite_es::sqlite_cqrs::<Account>(pool, vec![], ()));
    let execute = move |id: String, step: Step| {
        let cqrs = Arc::clone(&cqrs);
        async move {
            let command = match step {
                Step::Open => AccountCommand::Open,
                Step::Deposit { amount, note } => AccountCommand::Deposit {
                    amount,
                    note: note.to_owned(),
                },
            };
            cqrs.execute(&id, command)
                .await
                .context("execute a command")
        }
    };
    let figures = arguments.round.play(execute).await?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
