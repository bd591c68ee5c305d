//! Two aggregates in one story: an order leads to a withdrawal. The correlation id holds the
//! story together, the causation id says which event led to which command.
//!
//! `cargo run -p retold --example story`

mod account;

use account::{Account, Deposit, Withdraw};
use retold::{Aggregate, Event, Filter, LogQuery, Retold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Order {
    total: Option<u64>,
}

#[derive(Event)]
enum OrderEvent {
    #[event("order.placed")]
    Placed { total: u64 },
}

struct Place {
    total: u64,
}

impl Aggregate for Order {
    const TYPE: &'static str = "Order";
    type Event = OrderEvent;
    type Command = Place;
    type Error = std::convert::Infallible;

    fn decide(&self, &Place { total }: &Place) -> Result<Vec<OrderEvent>, Self::Error> {
        match self.total {
            None => Ok(vec![OrderEvent::Placed { total }]),
            // It was placed already, so there is nothing to do.
            Some(_) => Ok(vec![]),
        }
    }

    fn apply(&mut self, OrderEvent::Placed { total }: OrderEvent) {
        self.total = Some(total);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let retold = Retold::open("memory:").await?;
    let deposit = Deposit { amount: 50 };
    retold.execute::<Account>("alice", deposit).await?;

    let place = retold.execute::<Order>("7", Place { total: 20 });
    let placed = place.correlation_id("checkout-7").actor("alice").await?;
    let placed = &placed.recorded[0].metadata;
    let pay = retold.execute::<Account>("alice", Withdraw { amount: 20 });
    // The key makes it safe to react to the same event twice.
    pay.correlation_id(placed.correlation_id.clone())
        .causation_id(placed.event_id.to_string())
        .idempotency_key(placed.event_id.to_string())
        .await?;

    let filter = Filter {
        correlation_id: Some("checkout-7".into()),
        ..Filter::default()
    };
    let story = retold.log(LogQuery::after(0).filter(filter)).await?;
    let story = story.into_events()?;
    for event in &story {
        let cause = event.metadata.causation_id.as_deref().unwrap_or("alice");
        println!("{} because of {cause}", event.event_type);
    }
    let types: Vec<&str> = story.iter().map(|event| &*event.event_type).collect();
    assert_eq!(types, ["order.placed", "account.withdrawn"]);
    Ok(())
}
