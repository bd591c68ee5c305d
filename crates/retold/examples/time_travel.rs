//! Time travel: the state of an aggregate after an event, at a date, when the log had reached a
//! position, and as it was known at a time.
//!
//! `cargo run -p retold --example time_travel`

mod account;

use account::{Account, Deposit, Withdraw};
use retold::{Retold, Timestamp};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let retold = Retold::open("memory:").await?;
    for (command, date) in [
        (Deposit { amount: 100 }, "2024-01-01T09:00:00Z"),
        (Withdraw { amount: 30 }, "2024-02-01T09:00:00Z"),
        (Deposit { amount: 5 }, "2024-03-01T09:00:00Z"),
    ] {
        let executed = retold.execute::<Account>("alice", command);
        executed.timestamp(date.parse()?).await?;
    }

    // After its second event.
    let then = retold.load::<Account>("alice").at_sequence(2).await?;
    assert_eq!(then.state.balance, 70);

    // At a date: by what the events say of when they happened.
    let january: Timestamp = "2024-01-15".parse()?;
    let then = retold
        .load::<Account>("alice")
        .at_timestamp(january)
        .await?;
    assert_eq!(then.state.balance, 100);

    // Before anything happened it did not exist.
    let earlier = retold.load::<Account>("alice");
    let earlier = earlier.at_timestamp("2023-01-01".parse()?).await?;
    assert!(!earlier.exists);

    // What was known in January? Nothing: the events were recorded just now.
    let known = retold
        .load::<Account>("alice")
        .at_persisted(january)
        .await?;
    assert!(!known.exists);

    // When the log, of whatever streams, had reached its first position.
    let then = retold.load::<Account>("alice").at_position(1).await?;
    assert_eq!(then.state.balance, 100);

    // And how it came to be what it is now.
    for event in retold.events("Account", "alice").all().await? {
        let (at, what) = (event.metadata.timestamp, &event.event_type);
        println!("{at} {what} {}", event.payload);
    }
    let now = retold.load::<Account>("alice").await?;
    println!("{} are left", now.state.balance);
    assert_eq!(now.state.balance, 75);
    Ok(())
}
