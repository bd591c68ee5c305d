//! Serves the console over a store in memory that is filled with made-up issues, for looking at
//! it while working on it.
//!
//! `cargo run -p retold-server --example console [address]`

#[path = "../tests/made_up/mod.rs"]
mod made_up;

use anyhow::Context;

/// Where it listens unless told otherwise.
const ADDRESS: &str = "127.0.0.1:7879";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or(ADDRESS);
    let service = made_up::service().await.context("fill the store")?;
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("listen on {address}"))?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, service).await.context("serve")
}
