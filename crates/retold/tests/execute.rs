//! Commands of aggregates: what is recorded, what is answered, and what a key remembers.
#![cfg(feature = "derive")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;

use retold::{
    Aggregate, Error, Event, EventStore, ExecuteError, Executed, Json, NewEvent, Retold,
    StoreError, StreamId,
};
use retold_memory::MemoryStore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use support::account::{
    Account, AccountEvent, Close, Closed, Deposit, DepositEach, Deposited, Refused, Withdraw,
    Withdrawn,
};
use support::{on_each_store, seconds};

fn rejected<A: Aggregate>(answer: Result<Executed<A>, ExecuteError<A::Error>>) -> A::Error {
    match answer {
        Err(ExecuteError::Rejected(rejected)) => rejected,
        Err(ExecuteError::Failed(error)) => panic!("failed to {error}"),
        Ok(_) => panic!("it was not rejected"),
    }
}

fn failed<A: Aggregate>(answer: Result<Executed<A>, ExecuteError<A::Error>>) -> Error {
    match answer {
        Err(ExecuteError::Failed(error)) => error,
        _ => panic!("it did not fail"),
    }
}

#[tokio::test]
async fn a_command_is_recorded_and_answered() {
    on_each_store(|retold| async move {
        let opened = retold.execute::<Account>("a", DepositEach(vec![5, 2]));
        let opened = opened
            .actor("user-1")
            .correlation_id("story")
            .causation_id("request-9")
            .tag("vip")
            .tag("new")
            .extra("channel", "web")
            .timestamp(seconds(7))
            .await
            .unwrap();
        assert!(opened.is_new);
        assert_eq!(
            opened.events,
            [Deposited { amount: 5 }, Deposited { amount: 2 }]
        );
        assert_eq!((opened.state.balance, opened.sequence_number), (7, 2));
        let log = retold.events("Account", "a").all().await.unwrap();
        assert_eq!(opened.recorded, log);
        for event in &log {
            assert_eq!(event.event_type, "account.deposited");
            assert_eq!(event.metadata.version, "1.0.0");
            assert_eq!(event.metadata.actor.as_deref(), Some("user-1"));
            assert_eq!(event.metadata.correlation_id, "story");
            assert_eq!(event.metadata.causation_id.as_deref(), Some("request-9"));
            assert_eq!(event.metadata.timestamp, seconds(7));
            assert_eq!(
                event.metadata.extra("channel").unwrap().as_str(),
                r#""web""#
            );
            assert_eq!(event.tags, ["vip", "new"]);
        }
        assert_eq!(log[1].payload.as_str(), r#"{"amount":2}"#);

        let closed = retold.execute::<Account>("a", Close).await.unwrap();
        assert_eq!(closed.events, [Withdrawn { amount: 7 }, Closed]);
        let ids = closed.recorded.iter().map(|event| &event.metadata);
        let ids: Vec<_> = ids.map(|metadata| &metadata.correlation_id).collect();
        assert_eq!(ids[0], ids[1]);
        assert_eq!(closed.recorded[1].payload.as_str(), "{}");
        assert_eq!(closed.recorded[1].metadata.version, "2.0.0");
    })
    .await;
}

#[tokio::test]
async fn the_aggregates_own_error_comes_back_and_nothing_is_written() {
    on_each_store(|retold| async move {
        let refused = retold.execute::<Account>("a", Withdraw(3)).await;
        let overdrawn = Refused::Overdrawn {
            balance: 0,
            amount: 3,
        };
        assert_eq!(rejected(refused), overdrawn);
        let nothing = retold.execute::<Account>("a", DepositEach(vec![])).await;
        let nothing = nothing.unwrap();
        assert!(nothing.is_new && nothing.events.is_empty() && nothing.recorded.is_empty());
        assert_eq!(nothing.sequence_number, 0);
        let loaded = retold.load::<Account>("a").await.unwrap();
        assert!(!loaded.exists);
        assert_eq!(retold.store().head().await.unwrap().position, 0);
    })
    .await;
}

#[tokio::test]
async fn a_state_is_loaded_as_it_was() {
    on_each_store(|retold| async move {
        for (amount, at) in [(1, 10), (2, 20), (3, 30)] {
            let deposit = retold.execute::<Account>("a", Deposit(amount));
            deposit.timestamp(seconds(at)).await.unwrap();
        }
        let balance = |loaded: retold::Loaded<Account>| {
            assert_eq!(loaded.exists, loaded.sequence_number > 0);
            (loaded.state.balance, loaded.sequence_number)
        };
        let load = || retold.load::<Account>("a");
        assert_eq!(balance(load().await.unwrap()), (6, 3));
        assert_eq!(balance(load().at_sequence(2).await.unwrap()), (3, 2));
        assert_eq!(balance(load().at_position(1).await.unwrap()), (1, 1));
        let then = load().at_timestamp(seconds(25));
        assert_eq!(balance(then.await.unwrap()), (3, 2));
        assert_eq!(balance(load().at_sequence(0).await.unwrap()), (0, 0));
        let twice = load().at_sequence(1).at_position(1).await;
        assert!(matches!(
            twice,
            Err(Error::Store(StoreError::Invalid { .. }))
        ));
    })
    .await;
}

#[tokio::test]
async fn a_key_returns_the_first_result_whatever_would_be_decided_now() {
    on_each_store(|retold| async move {
        let deposit = || {
            let deposit = retold.execute::<Account>("a", DepositEach(vec![1, 2, 3]));
            deposit.idempotency_key("k")
        };
        let first = deposit().await.unwrap();
        assert!(first.is_new);
        retold.execute::<Account>("a", Close).await.unwrap();
        let again = deposit().await.unwrap();
        assert!(!again.is_new);
        assert_eq!(again.events, first.events);
        assert_eq!(again.recorded, first.recorded);
        assert_eq!(again.state, first.state);
        assert_eq!(again.sequence_number, 3);

        // Under the same key something else is not asked; under another one the account is.
        let other = retold.execute::<Account>("a", Withdraw(1));
        let other = other.idempotency_key("k").await.unwrap();
        assert_eq!(other.recorded, first.recorded);
        let fresh = retold.execute::<Account>("a", Withdraw(1));
        let fresh = fresh.idempotency_key("k2").await;
        assert_eq!(rejected(fresh), Refused::Closed);
        // A key of another account is another key.
        let elsewhere = retold.execute::<Account>("b", Deposit(9));
        assert!(elsewhere.idempotency_key("k").await.unwrap().is_new);
    })
    .await;
}

#[tokio::test]
async fn what_wrote_nothing_is_not_remembered_under_its_key() {
    let retold = support::in_memory().await;
    let withdraw = || {
        retold
            .execute::<Account>("a", Withdraw(3))
            .idempotency_key("k")
    };
    rejected(withdraw().await);
    retold.execute::<Account>("a", Deposit(5)).await.unwrap();
    assert!(withdraw().await.unwrap().is_new);
    let nothing = retold.execute::<Account>("a", DepositEach(vec![]));
    nothing.idempotency_key("n").await.unwrap();
    let something = retold.execute::<Account>("a", Deposit(1));
    assert!(something.idempotency_key("n").await.unwrap().is_new);
    let malformed = retold
        .execute::<Account>("a", Deposit(1))
        .idempotency_key("");
    let error = failed(malformed.await);
    assert!(error.to_string().contains("idempotencyKey"), "{error}");
}

#[tokio::test]
async fn events_that_somebody_put_under_a_key_are_not_taken_for_a_commands() {
    let retold = support::in_memory().await;
    let first = retold.execute::<Account>("a", DepositEach(vec![1, 2]));
    let first = first.idempotency_key("k").await.unwrap();
    // The same ids in a log of their own, with another event in between.
    let other = support::in_memory().await;
    let [one, two] = first.recorded.map_into_new();
    other.append(one).await.unwrap();
    other.append(support::comment("1")).await.unwrap();
    other.append(two).await.unwrap();
    let again = other.execute::<Account>("a", Deposit(1));
    let error = failed(again.idempotency_key("k").await);
    assert!(matches!(
        error,
        Error::Store(StoreError::IdentityConflict { .. })
    ));
}

trait MapIntoNew {
    fn map_into_new(self) -> [NewEvent; 2];
}

impl MapIntoNew for Vec<retold::RecordedEvent> {
    fn map_into_new(self) -> [NewEvent; 2] {
        let new: Vec<NewEvent> = self.into_iter().map(|event| event.into_new()).collect();
        new.try_into().unwrap()
    }
}

/// Two handles on one log, as two processes have them: neither knows what the other has cached.
async fn two_handles() -> (Retold, Retold) {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let open = || Retold::builder().store(store.clone()).build();
    (open().await.unwrap(), open().await.unwrap())
}

#[tokio::test]
async fn what_another_process_wrote_is_seen_before_a_refusal_and_before_an_answer() {
    let (here, there) = two_handles().await;
    here.execute::<Account>("a", Deposit(1)).await.unwrap();
    there.execute::<Account>("a", Deposit(8)).await.unwrap();
    // Here 1 is cached, which would refuse it.
    let withdrawn = here.execute::<Account>("a", Withdraw(9)).await.unwrap();
    assert_eq!((withdrawn.state.balance, withdrawn.sequence_number), (0, 3));
    // There 9 are cached, which would accept; the append is refused, and so is the command.
    let refused = there.execute::<Account>("a", Withdraw(9)).await;
    let overdrawn = Refused::Overdrawn {
        balance: 0,
        amount: 9,
    };
    assert_eq!(rejected(refused), overdrawn);
    here.execute::<Account>("a", Close).await.unwrap();
    // There it is open, and there would be an event to record.
    let nothing = there.execute::<Account>("a", Close).await.unwrap();
    assert_eq!((nothing.events.len(), nothing.sequence_number), (0, 4));
    assert!(there.load::<Account>("a").await.unwrap().state.is_closed);
}

#[tokio::test]
async fn plain_appends_to_the_stream_are_folded_in() {
    let retold = support::in_memory().await;
    retold.execute::<Account>("a", Deposit(1)).await.unwrap();
    let stream = StreamId::new("Account", "a").unwrap();
    let deposit = NewEvent::new(
        stream,
        "account.deposited",
        &serde_json::json!({"amount": 4}),
    );
    retold.append(deposit.unwrap()).await.unwrap();
    let withdrawn = retold.execute::<Account>("a", Withdraw(5)).await.unwrap();
    assert_eq!(withdrawn.sequence_number, 3);
}

#[tokio::test]
async fn an_event_that_is_none_of_the_aggregates_is_told() {
    let retold = support::in_memory().await;
    let append = async |id: &str, event_type: &str, version: &str, payload: &str| {
        let stream = StreamId::new("Account", id).unwrap();
        let payload = Json::parse(payload).unwrap();
        let event = NewEvent::from_json(stream, event_type, payload).version(version);
        retold.append(event).await.unwrap();
        let error = failed(retold.execute::<Account>(id, Deposit(1)).await);
        assert!(matches!(error, Error::Reducer { .. }));
        error.to_string()
    };
    assert_eq!(
        append("a", "account.renamed", "1.0.0", "{}").await,
        "fold event 1 of Account/a with the reducer $aggregate/Account: the event type account.renamed \
         is none of account.deposited, account.withdrawn, account.closed; add a variant for it; \
         correct the reducer and replay"
    );
    let told = append("b", "account.closed", "1.0.0", "{}").await;
    assert!(
        told.contains("account.closed was recorded in version 1.0.0, and is read in version 2.0.0"),
        "{told}"
    );
    let told = append("c", "account.deposited", "1.0.0", r#"{"sum":1}"#).await;
    assert!(told.contains("missing field `amount`"), "{told}");
}

/// An aggregate whose event is written otherwise than it is read.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Broken;

#[derive(Event)]
enum BrokenEvent {
    #[event("broken.happened")]
    Happened {
        #[serde(rename(serialize = "one", deserialize = "another"))]
        text: String,
    },
}

impl Aggregate for Broken {
    const TYPE: &'static str = "Broken";
    type Event = BrokenEvent;
    type Command = ();
    type Error = std::convert::Infallible;

    fn decide(&self, (): &()) -> Result<Vec<BrokenEvent>, Self::Error> {
        let text = "hello".to_owned();
        Ok(vec![BrokenEvent::Happened { text }])
    }

    fn apply(&mut self, BrokenEvent::Happened { text: _ }: BrokenEvent) {}
}

#[tokio::test]
async fn an_event_that_could_not_be_read_back_is_not_written() {
    let retold = support::in_memory().await;
    let error = failed(retold.execute::<Broken>("1", ()).await);
    assert!(
        error.to_string().contains("missing field `another`"),
        "{error}"
    );
    assert_eq!(retold.store().head().await.unwrap().position, 0);
}

/// An issue, whose type has a machine.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Issue {
    comments: u64,
}

#[derive(Event)]
enum IssueEvent {
    #[event("issue.commented")]
    Commented { text: String },
    #[event("start_work")]
    Started,
}

impl Aggregate for Issue {
    const TYPE: &'static str = "Issue";
    type Event = IssueEvent;
    /// The comment; none to start work.
    type Command = Option<String>;
    type Error = std::convert::Infallible;

    fn decide(&self, comment: &Option<String>) -> Result<Vec<IssueEvent>, Self::Error> {
        Ok(vec![match comment {
            Some(text) => IssueEvent::Commented { text: text.clone() },
            None => IssueEvent::Started,
        }])
    }

    fn apply(&mut self, event: IssueEvent) {
        match event {
            IssueEvent::Commented { text } => self.comments += u64::from(!text.is_empty()),
            IssueEvent::Started => {}
        }
    }
}

#[tokio::test]
async fn a_command_does_not_go_around_the_machine_of_its_type() {
    let retold = support::in_memory().await;
    let comment = Some("hello".to_owned());
    let commented = retold.execute::<Issue>("1", comment).await.unwrap();
    assert_eq!(commented.state.comments, 1);
    let error = failed(retold.execute::<Issue>("1", None).await);
    assert!(matches!(error, Error::TransitionName { .. }), "{error}");
    // The machine's cached state has moved on with the command's event.
    let started = retold.transition(support::start_work("1")).await.unwrap();
    assert_eq!(started.event.sequence_number, 2);
}

#[tokio::test]
async fn a_transfer_is_recorded_on_both_sides_or_not_at_all() {
    on_each_store(|retold| async move {
        retold.execute::<Account>("a", Deposit(10)).await.unwrap();
        let transfer = async |amount: u64| {
            retold
                .execute_together::<(Account, Account)>(["a", "b"])
                .actor("user-1")
                .decide(|(from, to)| -> Result<_, Refused> {
                    let deposited: Vec<AccountEvent> = to.decide(&Deposit(amount))?;
                    Ok((from.decide(&Withdraw(amount))?, deposited))
                })
                .await
        };
        let (from, to) = transfer(7).await.unwrap();
        assert_eq!((from.state.balance, to.state.balance), (3, 7));
        assert_eq!((from.sequence_number, to.sequence_number), (2, 1));
        assert_eq!(from.events, [Withdrawn { amount: 7 }]);
        assert_eq!(to.events, [Deposited { amount: 7 }]);
        let [out, into] = [&from.recorded[0], &to.recorded[0]];
        assert_eq!(out.metadata.correlation_id, into.metadata.correlation_id);
        assert_eq!(out.position + 1, into.position);

        retold.execute::<Account>("b", Close).await.unwrap();
        let head = retold.store().head().await.unwrap();
        match transfer(1).await {
            Err(ExecuteError::Rejected(refused)) => assert_eq!(refused, Refused::Closed),
            _ => panic!("it was not rejected"),
        }
        assert_eq!(retold.store().head().await.unwrap(), head);
    })
    .await;
}

#[tokio::test]
async fn a_key_of_a_command_over_several_is_remembered_too() {
    let (here, there) = two_handles().await;
    here.execute::<Account>("a", Deposit(10)).await.unwrap();
    let transfer = async |retold: &Retold| {
        let transfer = retold.execute_together::<(Account, Account)>(["a", "b"]);
        let transfer = transfer.idempotency_key("k");
        let decided = transfer.decide(|(from, _)| {
            let withdrawn = from.decide(&Withdraw(10))?;
            Ok::<_, Refused>((
                withdrawn,
                vec![Deposited { amount: 9 }, Withdrawn { amount: 1 }],
            ))
        });
        decided.await.unwrap()
    };
    let first = transfer(&here).await;
    here.execute::<Account>("b", Close).await.unwrap();
    let again = transfer(&there).await;
    assert!(first.0.is_new && first.1.is_new && !again.0.is_new && !again.1.is_new);
    assert_eq!(
        (again.0.recorded, again.1.recorded),
        (first.0.recorded, first.1.recorded)
    );
    assert_eq!(
        (&again.0.state, &again.1.state),
        (&first.0.state, &first.1.state)
    );
    assert_eq!(again.1.events.len(), 2);
}

#[tokio::test]
async fn a_decision_holds_for_an_aggregate_that_it_only_looked_at() {
    let (here, there) = two_handles().await;
    here.load::<Account>("limit").await.unwrap();
    let mut looks = 0;
    let there = Arc::new(there);
    let spent = here
        .execute_together::<(Account, Account)>(["limit", "a"])
        .decide(|(limit, _)| {
            looks += 1;
            if looks == 1 {
                // Another process changes what the decision rests on.
                let there = there.clone();
                let thread = std::thread::spawn(move || {
                    support::block_on(async {
                        let close = there.execute::<Account>("limit", Close).await;
                        close.unwrap();
                    });
                });
                thread.join().unwrap();
            }
            if limit.is_closed {
                return Err(Refused::Closed);
            }
            Ok((vec![], vec![Deposited { amount: 1 }]))
        })
        .await;
    assert!(matches!(
        spent,
        Err(ExecuteError::Rejected(Refused::Closed))
    ));
    assert_eq!(looks, 2);
    assert!(!here.load::<Account>("a").await.unwrap().exists);
}

#[tokio::test]
async fn an_aggregate_is_named_once_in_a_command() {
    let retold = support::in_memory().await;
    let twice = retold.execute_together::<(Account, Account)>(["a", "a"]);
    let twice = twice.decide(|_| Ok::<_, Refused>((vec![], vec![])));
    match twice.await {
        Err(ExecuteError::Failed(error)) => {
            assert!(error.to_string().contains("must not name Account/a twice"));
        }
        _ => panic!("it was accepted"),
    }
}

#[tokio::test]
async fn names_are_checked_like_any_others() {
    let retold = support::in_memory().await;
    let error = failed(retold.execute::<Account>("a\nb", Deposit(1)).await);
    assert!(error.to_string().contains("aggregateId"), "{error}");
    let reserved = retold.execute::<Account>("a", Deposit(1)).extra("$own", &1);
    assert!(failed(reserved.await).to_string().contains("metadata.$own"));
}
