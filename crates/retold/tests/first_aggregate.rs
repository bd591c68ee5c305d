//! The first aggregate, as the README shows it: all that follows these lines stands there.
use retold::{Aggregate, Event, testing::given};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state: a seat, and who has it.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Seat {
    taken_by: Option<String>,
}

/// What can happen to it, under the names that the log keeps.
#[derive(Event)]
enum SeatEvent {
    #[event("seat.taken")]
    Taken { by: String },
}

/// What can be asked of it.
struct Take(String);

impl Aggregate for Seat {
    const TYPE: &'static str = "Seat";
    type Event = SeatEvent;
    type Command = Take;
    type Error = &'static str;

    fn decide(&self, Take(by): &Take) -> Result<Vec<SeatEvent>, &'static str> {
        match &self.taken_by {
            None => Ok(vec![SeatEvent::Taken { by: by.clone() }]),
            Some(_) => Err("taken"),
        }
    }

    fn apply(&mut self, SeatEvent::Taken { by }: SeatEvent) {
        self.taken_by = Some(by);
    }
}

#[test]
fn a_seat_is_taken_once() {
    let taken = given::<Seat>([SeatEvent::Taken { by: "ann".into() }]);
    taken.when(Take("bob".into())).then_error("taken");
}
