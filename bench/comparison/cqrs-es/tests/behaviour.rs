//! What cqrs-es with sqlite-es does on a conflict, on a retry and on a changed event: what
//! docs/comparison.md says of it.

use std::sync::Arc;

use comparison_cqrs_es::{Account, AccountCommand, AccountError, AccountEvent, balance};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventStore, SemanticVersionEventUpcaster};
use cqrs_es::{Aggregate, AggregateContext, AggregateError, DomainEvent, EventStore};
use serde::{Deserialize, Serialize};
use sqlite_es::{SqliteEventRepository, default_sqlite_pool, sqlite_cqrs};
use sqlx::{Pool, Sqlite};
use tempfile::TempDir;
use tokio::sync::Barrier;

/// A database with an account that holds 100.
async fn account_of_100() -> (TempDir, Pool<Sqlite>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.db");
    let pool = default_sqlite_pool(file.to_str().unwrap()).await;
    let tables = include_str!("../events.sql");
    sqlx::raw_sql(tables).execute(&pool).await.unwrap();
    let cqrs = sqlite_cqrs::<Account>(pool.clone(), vec![], ());
    cqrs.execute("ada", AccountCommand::Open).await.unwrap();
    let deposit = AccountCommand::Deposit { amount: 100 };
    cqrs.execute("ada", deposit).await.unwrap();
    (folder, pool)
}

/// The account whose commands wait for each other between loading and deciding.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Meeting;

impl Aggregate for Meeting {
    const TYPE: &'static str = "Account";
    type Command = u64;
    type Event = AccountEvent;
    type Error = AccountError;
    type Services = Arc<Barrier>;

    async fn handle(
        &mut self,
        amount: u64,
        meeting: &Arc<Barrier>,
        sink: &EventSink<Self>,
    ) -> Result<(), AccountError> {
        meeting.wait().await;
        sink.write(AccountEvent::Withdrawn { amount }, self).await;
        Ok(())
    }

    fn apply(&mut self, _event: AccountEvent) {}
}

#[tokio::test]
async fn a_lost_race_is_the_callers_to_repeat() {
    let (_folder, pool) = account_of_100().await;
    let meeting = Arc::new(Barrier::new(2));
    let cqrs = sqlite_cqrs::<Meeting>(pool.clone(), vec![], meeting);
    let outcomes = tokio::join!(cqrs.execute("ada", 60), cqrs.execute("ada", 60));
    let lost = match outcomes {
        (Ok(()), Err(lost)) | (Err(lost), Ok(())) => lost,
        other => panic!("one of two has to lose: {other:?}"),
    };
    assert!(matches!(lost, AggregateError::AggregateConflict));
    assert_eq!(balance(pool, "ada").await.unwrap(), 40);
}

#[tokio::test]
async fn a_retry_takes_effect_again() {
    let (_folder, pool) = account_of_100().await;
    let cqrs = sqlite_cqrs::<Account>(pool.clone(), vec![], ());
    for _ in 0..2 {
        let withdraw = AccountCommand::Withdraw { amount: 30 };
        cqrs.execute("ada", withdraw).await.unwrap();
    }
    assert_eq!(balance(pool, "ada").await.unwrap(), 40);
}

/// The events after a change: a deposit has a currency now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum EventToday {
    Opened,
    Deposited { amount: u64, currency: String },
}

impl DomainEvent for EventToday {
    fn event_type(&self) -> String {
        let name = match self {
            EventToday::Opened => "Opened",
            EventToday::Deposited { .. } => "Deposited",
        };
        name.to_string()
    }

    fn event_version(&self) -> String {
        "1.1".to_string()
    }
}

/// The account after the change.
#[derive(Debug, Default, Serialize, Deserialize)]
struct AccountToday {
    currencies: Vec<String>,
}

impl Aggregate for AccountToday {
    const TYPE: &'static str = "Account";
    type Command = ();
    type Event = EventToday;
    type Error = AccountError;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), AccountError> {
        Ok(())
    }

    fn apply(&mut self, event: EventToday) {
        if let EventToday::Deposited { currency, .. } = event {
            self.currencies.push(currency);
        }
    }
}

#[tokio::test]
async fn a_changed_event_is_refused_until_an_upcaster_is_given() {
    let (_folder, pool) = account_of_100().await;
    let repository = || SqliteEventRepository::new(pool.clone());

    let store = PersistedEventStore::<_, AccountToday>::new_event_store(repository());
    let refused = store.load_aggregate("ada").await.err();
    assert!(matches!(
        refused,
        Some(AggregateError::DeserializationError(_))
    ));

    let upcaster = SemanticVersionEventUpcaster::new(
        "Deposited",
        "1.1",
        Box::new(|mut payload| {
            payload["Deposited"]["currency"] = "EUR".into();
            payload
        }),
    );
    let store = PersistedEventStore::<_, AccountToday>::new_event_store(repository())
        .with_upcasters(vec![Box::new(upcaster)]);
    let mut context = store.load_aggregate("ada").await.unwrap();
    assert_eq!(context.aggregate().currencies, ["EUR"]);
}
