//! The file events.lock: what fails the test, what it says, and what is accepted.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, dead_code)]

use std::fs;
use std::path::PathBuf;

use retold::testing::{EventsLock, events_lock};
use retold::{EventShape, Upcasters};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A folder with a lock of `account.opened 1.0.0` and `account.closed 1.0.0`.
struct Locked {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

#[derive(Serialize, JsonSchema)]
struct Opened {
    owner: String,
    limit: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Closed;

fn opened() -> EventShape {
    EventShape::of::<Opened>("account.opened", "1.0.0")
}

fn closed() -> EventShape {
    EventShape::of::<Closed>("account.closed", "1.0.0")
}

fn locked() -> Locked {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.lock");
    let lock = events_lock(&path).shapes([opened(), closed()]);
    lock.update(true).try_check().unwrap();
    Locked {
        _folder: folder,
        path,
    }
}

impl Locked {
    fn lock(&self) -> EventsLock {
        events_lock(&self.path).update(false)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    /// What a check says, with the path of this run taken out.
    fn refused(&self, lock: EventsLock) -> String {
        let before = self.text();
        let findings = lock.try_check().unwrap_err();
        assert_eq!(self.text(), before, "a check that fails writes nothing");
        findings.replace(&self.path.display().to_string(), "events.lock")
    }
}

fn to_2() -> Upcasters {
    Upcasters::of("Account").change("account.opened", "1.0.0", "2.0.0", |old: Value| Ok(old))
}

#[test]
fn the_file_is_for_people() {
    insta::assert_snapshot!(locked().text(), @r#"
    # The shapes that events were written in. A test compares them with the code; what was written
    # once is read for ever. `UPDATE_EVENTS_LOCK=1 cargo test` accepts a change that is meant.

    account.closed 1.0.0
      type = "null"

    account.opened 1.0.0
      properties.limit.format = "uint32"
      properties.limit.minimum = 0
      properties.limit.type = ["integer","null"]
      properties.owner.type = "string"
      required = ["limit","owner"]
      type = "object"
    "#);
}

#[test]
fn what_did_not_change_is_accepted() {
    let locked = locked();
    locked
        .lock()
        .shapes([closed(), opened()])
        .try_check()
        .unwrap();
    let crlf = locked.text().replace('\n', "\r\n");
    fs::write(&locked.path, crlf).unwrap();
    locked.lock().shapes([closed(), opened()]).check();
}

#[test]
fn an_accidental_change_names_the_upcaster_that_is_missing() {
    #[derive(Serialize, JsonSchema)]
    struct Opened {
        owner: String,
        limit: Option<u64>,
        currency: String,
    }
    let locked = locked();
    let changed = || EventShape::of::<Opened>("account.opened", "1.0.0");
    let lock = locked.lock().shapes([changed(), closed()]);
    insta::assert_snapshot!(locked.refused(lock), @r#"
    events.lock does not agree with the code:

    account.opened 1.0.0 changed (- as it was written, + as it would be written now):
      - properties.limit.format = "uint32"
      - required = ["limit","owner"]
      + properties.currency.type = "string"
      + properties.limit.format = "uint64"
      + required = ["currency","limit","owner"]
    give it a new version and an upcaster 1.0.0 → that version; or, where no log holds one, accept the change with UPDATE_EVENTS_LOCK=1
    "#);
    // Where it is meant, it is accepted, and is what later checks compare with.
    let update = locked.lock().shapes([changed(), closed()]).update(true);
    update.try_check().unwrap();
    assert!(locked.text().contains("properties.currency"));
    locked.lock().shapes([changed(), closed()]).check();
    assert!(
        locked
            .lock()
            .shapes([opened(), closed()])
            .try_check()
            .is_err()
    );
}

#[test]
fn a_new_version_needs_an_upcaster_from_the_one_before() {
    let locked = locked();
    let shapes = || {
        [
            EventShape::of::<String>("account.opened", "2.0.0"),
            closed(),
        ]
    };
    let missing = locked.refused(locked.lock().shapes(shapes()));
    insta::assert_snapshot!(missing, @r"
    events.lock does not agree with the code:

    account.opened 1.0.0 has no upcaster to 2.0.0; add the upcaster of account.opened 1.0.0 → 2.0.0; or, where no log holds one, delete it from the file
    ");
    // Neither is it accepted because the shape of the old version is still in the code, nor
    // because the file is to be updated.
    let both = locked.lock().shapes(shapes()).shape(opened());
    assert_eq!(locked.refused(both), missing);
    let update = locked.lock().shapes(shapes()).update(true);
    assert_eq!(locked.refused(update), missing);

    let with_upcaster = || locked.lock().shapes(shapes()).upcasters(to_2());
    insta::assert_snapshot!(locked.refused(with_upcaster()), @r"
    events.lock does not agree with the code:

    account.opened 2.0.0 is new; accept it with UPDATE_EVENTS_LOCK=1
    ");
    with_upcaster().update(true).check();
    with_upcaster().check();
    // The old shape stays, though the code has no type for it any more.
    let text = locked.text();
    assert!(text.contains("account.opened 1.0.0\n") && text.contains("account.opened 2.0.0\n"));
}

#[test]
fn a_new_type_is_accepted_on_purpose() {
    let locked = locked();
    let lock = || {
        locked
            .lock()
            .shapes([opened(), closed()])
            .shape(EventShape::of::<u8>("account.rated", "1"))
    };
    insta::assert_snapshot!(locked.refused(lock()), @r"
    events.lock does not agree with the code:

    account.rated 1 is new; accept it with UPDATE_EVENTS_LOCK=1
    ");
    lock().update(true).check();
    lock().check();
}

#[test]
fn a_type_that_is_gone_needs_an_upcaster() {
    let locked = locked();
    let gone = locked.refused(locked.lock().shape(opened()));
    insta::assert_snapshot!(gone, @r"
    events.lock does not agree with the code:

    account.closed 1.0.0 is gone, and a log may hold some; keep it, or add an upcaster that takes it further (change, rename, split or discard); or, where no log holds one, delete it from the file
    ");
    assert_eq!(
        locked.refused(locked.lock().shape(opened()).update(true)),
        gone
    );
    let discarded = Upcasters::of("Account").discard("account.closed", "1.0.0");
    locked.lock().shape(opened()).upcasters(discarded).check();
    let renamed = Upcasters::new().rename(
        ("account.closed", "1.0.0"),
        ("account.ended", "1.0.0"),
        |old: Value| Ok(old),
    );
    let ended = EventShape::of::<Closed>("account.ended", "1.0.0");
    let lock = locked.lock().shapes([opened(), ended]).upcasters(renamed);
    lock.update(true).check();
}

#[test]
fn upcasters_that_cannot_be_used_are_told_here_too() {
    let locked = locked();
    let lock = locked.lock().shapes([opened(), closed()]);
    let lock = lock.upcasters(to_2()).upcasters(to_2());
    assert!(
        locked
            .refused(lock)
            .starts_with("failed to use the upcasters of Account: two take")
    );
}

#[test]
fn one_version_has_one_shape() {
    let locked = locked();
    let lock = locked.lock().shapes([
        opened(),
        closed(),
        EventShape::of::<u8>("account.opened", "1.0.0"),
    ]);
    assert!(
        locked
            .refused(lock)
            .contains("account.opened 1.0.0 is given twice")
    );
    // Two aggregate types may have events of one name.
    let of = |shape: EventShape, aggregate_type: &'static str| shape.of_aggregate(aggregate_type);
    let lock = locked.lock().shapes([opened(), closed()]).shapes([
        of(opened(), "Account"),
        of(EventShape::of::<u8>("account.opened", "1.0.0"), "Order"),
    ]);
    lock.update(true).check();
    assert!(
        locked
            .text()
            .contains("account.opened 1.0.0 of Order\n  format")
    );
}

/// Comments, the order of declarations and the names of types say nothing about what is written.
#[test]
fn what_is_no_shape_changes_nothing() {
    mod plain {
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) struct Opened {
            owner: Person,
            kind: Kind,
            tree: Tree,
            description: String,
            guest: Option<Person>,
        }
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) struct Person {
            first: String,
            last: String,
        }
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) enum Kind {
            Open,
            Closed,
        }
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) struct Tree(Vec<Tree>);
    }
    mod commented {
        /// An account was opened.
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) struct AccountOpened {
            /// What it is for.
            description: String,
            /// Who may look.
            guest: Option<Human>,
            /// Which kind.
            kind: Sort,
            /// Whose it is.
            owner: Human,
            tree: Forest,
        }
        /// A human.
        #[derive(serde::Serialize, schemars::JsonSchema)]
        #[schemars(title = "Somebody")]
        pub(super) struct Human {
            last: String,
            /// The first name.
            first: String,
        }
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) enum Sort {
            /// No longer.
            Closed,
            Open,
        }
        /// Trees in trees.
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) struct Forest(Vec<Forest>);
    }
    mod renamed {
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) struct Opened {
            owner: Person,
        }
        #[derive(serde::Serialize, schemars::JsonSchema)]
        struct Person {
            first: String,
            #[serde(rename = "family")]
            last: String,
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let lock = || events_lock(folder.path().join("events.lock"));
    let plain = EventShape::of::<plain::Opened>("account.opened", "1.0.0");
    lock().shape(plain).update(true).check();
    let commented = EventShape::of::<commented::AccountOpened>("account.opened", "1.0.0");
    lock().shape(commented).update(false).check();
    let renamed = EventShape::of::<renamed::Opened>("account.opened", "1.0.0");
    let findings = lock().shape(renamed).update(false).try_check().unwrap_err();
    assert!(
        findings.contains("+ properties.owner.properties.family.type"),
        "{findings}"
    );
}
