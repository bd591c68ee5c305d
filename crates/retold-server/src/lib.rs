//! Retold over HTTP: the API and the console as an axum router, and a server that runs it.

mod api;
mod app;
mod console;
mod guard;
mod metrics;
mod room;
mod serve;
mod webhook;

pub use app::{App, Options, router};
pub use serve::{Limits, ServeError, Server, stop_signal};
pub use webhook::{WebhookOptions, is_secret_id};
