//! Consumers: named readers of the log that cannot skip. Each event is delivered until it is
//! digested, in order within its stream; one that cannot be digested is set aside with its
//! stream, and holds up nothing else.
//!
//! ```
//! use retold::consumer::ConsumerSettings;
//! use retold::{NewEvent, Retold, StreamId};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let retold = Retold::open("memory:").await?;
//! let event = NewEvent::new(StreamId::new("Order", "7")?, "order.placed", &1)?;
//! retold.append(event).await?;
//!
//! let mailer = retold.consumer("mailer", ConsumerSettings::default()).await?;
//! let (sent, mut mails) = tokio::sync::mpsc::unbounded_channel();
//! tokio::spawn(async move {
//!     mailer
//!         .run(move |event| {
//!             let sent = sent.clone();
//!             async move { sent.send(event.event_type) }
//!         })
//!         .await;
//! });
//! assert_eq!(mails.recv().await.as_deref(), Some("order.placed"));
//! retold.close().await?;
//! # Ok(())
//! # }
//! ```

mod audit;
mod calls;
mod definition;
mod desk;
mod filter;
mod handle;
mod keeping;
mod registry;
mod running;
mod settings;
mod standing;

pub use audit::ConsumerAudit;
pub use definition::SkippedEvent;
pub use handle::{Consumer, Delivery, FencedError, Rejection};
pub use settings::{ConsumerSettings, ConsumerStart};
pub use standing::{ConsumerStatus, ParkedEvent};

pub(crate) use registry::{Registry, Stores};
