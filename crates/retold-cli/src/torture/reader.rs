//! A client that reads what the others write, and remembers what it saw: what was visible once
//! must be there for ever.

use retold::EventId;
use serde::Deserialize;
use uuid::Uuid;

use super::writer::is_broken;
use crate::client::{Client, JSON, Path};

/// The pause when nothing new was there.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(2);

/// A reader, with the event id at each position that it saw; the first is that of position 1.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) seen: Vec<EventId>,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Seen>,
}

/// As much of an event as is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    position: u64,
    metadata: SeenMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenMetadata {
    event_id: Uuid,
}

impl Reader {
    /// Reads on until the server is gone.
    ///
    /// # Errors
    /// A failure when it answers with anything but events, or leaves out a position.
    pub(super) async fn read(&mut self, client: &Client) -> anyhow::Result<()> {
        loop {
            let path = Path::new(&["events"])
                .with("after", self.seen.len())
                .with("limit", 1_000);
            let page: Page = match client.read(path.as_str(), JSON).await {
                Ok(answer) => match crate::client::whole(answer).await {
                    Ok(bytes) => crate::client::parsed(&bytes)?,
                    Err(_) => return Ok(()),
                },
                Err(error) if is_broken(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            let is_idle = page.events.is_empty();
            for event in page.events {
                let wanted = self.seen.len() as u64 + 1;
                if event.position != wanted {
                    anyhow::bail!(
                        "read the log: position {} came where {wanted} was due",
                        event.position
                    );
                }
                self.seen.push(event.metadata.event_id);
            }
            if is_idle {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
