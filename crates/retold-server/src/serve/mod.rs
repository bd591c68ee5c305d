//! The server: binds an address, runs the router on what is accepted there, and stops without
//! losing what it accepted. What one client may cost is in `limits.rs`.

mod body;
mod connection;
mod ending;
mod limits;
mod room;
mod service;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use self::connection::Guarded;
pub use self::limits::Limits;
use self::service::Service;
use crate::metrics::Counted;
use crate::{App, Options};

/// Why a server did not start. Each message finishes the sentence "failed to …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address can be reached from elsewhere, and there are no tokens yet.
    #[error(
        "listen on {address}: others could reach it, and whoever reaches it may read and write everything; listen on 127.0.0.1, or say that it is meant with --insecure"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// The system refused the address.
    #[error("listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },
}

/// A server that has its address and does not answer yet: whoever connects waits.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes an address; port 0 takes any free one.
    ///
    /// # Errors
    /// [`ServeError::Exposed`] for an address that is not loopback, unless the options allow it;
    /// [`ServeError::Bind`] when the system refuses it.
    pub async fn bind(address: SocketAddr, options: &Options) -> Result<Server, ServeError> {
        if !address.ip().is_loopback() && !options.insecure {
            return Err(ServeError::Exposed { address });
        }
        let refused = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Server { listener, address })
    }

    /// Where this machine reaches the server.
    pub fn url(&self) -> String {
        let mut address = self.address;
        // An address that stands for all of them cannot be connected to everywhere.
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }

    /// Serves until `stop` completes; then accepts nothing more, lets the requests at work
    /// finish, ends live streams, and closes the store.
    ///
    /// # Errors
    /// Those of [`Retold::close`](retold::Retold::close).
    pub async fn run(self, app: App, stop: impl Future<Output = ()>) -> Result<(), retold::Error> {
        let retold = app.retold().clone();
        let stopping = app.stopping().clone();
        let is_stopping = stopping.subscribe();
        app.webhooks().begin(is_stopping.clone());
        let limits = app.options().limits.clone();
        let connections = app.metrics().connections();
        let service = Service::new(app, is_stopping);
        let running = GracefulShutdown::new();
        let turns = Arc::new(Semaphore::new(limits.connections));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                let turn = Arc::clone(&turns).acquire_owned().await;
                (self.listener.accept().await, turn)
            };
            let (accepted, turn) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut stop => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = running.watch(connect(stream, service.clone(), &limits));
                    let counted = Counted::begin(connections.clone());
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection ended early");
                        }
                        drop((counted, turn));
                    });
                }
                Err(error) => pause_after(&error).await,
            }
        }
        tracing::info!("stopping: finishing what was accepted");
        drop(self.listener);
        stopping.send_replace(true);
        if tokio::time::timeout(limits.stop_grace, running.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests took too long to finish; their connections are closed");
        }
        // Appends that were accepted are finished here, also those whose client is gone.
        retold.close().await
    }
}

type Connection = http1::Connection<TokioIo<Guarded>, Service>;

fn connect(stream: TcpStream, service: Service, limits: &Limits) -> Connection {
    // Answers are small and waited for. A socket that refuses is slower, not wrong.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits::READ_BUFFER_BYTES)
        // A client may close its half after the request and still wait for the answer.
        .half_close(true)
        .serve_connection(
            TokioIo::new(Guarded::new(stream, limits.write_stall)),
            service,
        )
}

/// One client that is gone already is no reason to wait; a system without files is.
async fn pause_after(error: &io::Error) {
    let is_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    );
    if !is_client {
        tracing::warn!(%error, "the system refused a connection");
        tokio::time::sleep(limits::ACCEPT_PAUSE).await;
    }
}

/// Completes when the process is told to stop: by SIGINT (Ctrl-C) or SIGTERM.
///
/// # Errors
/// When the system does not let the process listen for signals.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
