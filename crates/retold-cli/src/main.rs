//! The program `retold`: serves a store, and works with it from a shell.

mod arguments;
mod chance;
mod client;
mod commands;
mod demo;
mod disk_use;
mod import;
mod logging;
mod output;
mod torture;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::arguments::Arguments;
use crate::output::Output;

/// What one thread takes is often given back by another: requests are answered by the thread
/// that is free, and appends are woken by the one that syncs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .context("start the runtime")
        .and_then(|runtime| runtime.block_on(commands::run(arguments, &output)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.fail(&error),
    }
}
