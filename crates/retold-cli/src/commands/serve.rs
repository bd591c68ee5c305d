//! `retold serve`: a store for everybody who speaks HTTP.

use std::net::SocketAddr;

use anyhow::Context;
use retold::Retold;
use retold_server::{App, Options, Server, stop_signal};

use super::secrets;
use crate::client::{Failure, Kind, Location, holder_of_server};
use crate::logging::{self, LogFormat};

/// Where the server listens unless told otherwise: a port that nothing common uses.
pub(crate) const LISTEN: &str = "127.0.0.1:7878";

const EXAMPLES: &str = "\
Examples:
  retold serve                                  ./data, on http://127.0.0.1:7878
  retold serve --store /srv/retold --listen 127.0.0.1:8080 --log-format json
  curl http://127.0.0.1:7878/readyz             200 once it can append

Ctrl-C or SIGTERM ends it: it finishes what it accepted, ends live streams, and closes the store.
RUST_LOG=retold_server=debug logs each request.";

/// Serves a store over HTTP.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = LISTEN)]
    listen: SocketAddr,

    /// Listens also where others can reach it, and serves any Host. There are no tokens yet:
    /// whoever reaches it may read and write everything.
    #[arg(long)]
    insecure: bool,

    /// Sends webhooks also to addresses that only this machine, or its own network, can reach.
    #[arg(long)]
    allow_private_webhooks: bool,

    /// Keeps no read models: there are no statuses of streams, processes and SQL tables then, and
    /// the machine has more to spare for appends. What was built stays, and is gone on with once
    /// the store is served without this.
    #[arg(long)]
    no_projections: bool,

    /// The form of the logs.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

impl Serve {
    pub(crate) async fn run(self, store: &Location) -> anyhow::Result<()> {
        logging::begin(self.log_format);
        let Location::Folder(folder) = store else {
            let message = format!("serve {store}: it is a server already");
            let hint = "name a folder with --store or RETOLD_STORE";
            return Err(Failure::new(Kind::Usage, message).hint(hint).into());
        };
        let mut options = Options::default();
        options.insecure = self.insecure;
        options.webhooks.secrets = Some(folder.join(secrets::FOLDER));
        options.webhooks.allow_private = self.allow_private_webhooks;
        let server = bind(self.listen, &options).await?;
        let stop = stop_signal().context("listen for signals")?;
        let url = server.url();
        let builder = match self.no_projections {
            true => Retold::builder(),
            false => Retold::builder().builtin_projections(),
        };
        let retold = builder
            .builtin_machines()
            .holder(holder_of_server(&url))
            .open(folder)
            .await
            .map_err(Failure::from)?;
        if self.insecure {
            tracing::warn!("anybody who reaches this server may read and write everything");
        }
        tracing::info!(url, store = %folder.display(), "serving");
        server
            .run(App::new(retold, options), stop)
            .await
            .map_err(Failure::from)?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Takes the address, after the system was asked for as many files as it allows.
pub(crate) async fn bind(listen: SocketAddr, options: &Options) -> anyhow::Result<Server> {
    allow_many_files();
    let bound = Server::bind(listen, options).await;
    Ok(bound.map_err(|error| Failure::new(Kind::Failed, error.to_string()))?)
}

/// Each connection is a file, and the usual limit of 1,024 is meant for programs that select(2).
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, further connections wait until others are closed.
    let _ = setrlimit(Resource::Nofile, limit);
}
