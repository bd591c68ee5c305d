//! Rows follow the log, exactly once, and say where they cannot.

use std::path::Path;
use std::sync::atomic::Ordering;

use retold::projection::{VersionRole, VersionState};
use retold::{Retold, RowQuery};
use tempfile::TempDir;

use crate::support::{Counts, append, caught_up, event, rows, until};

#[tokio::test]
async fn rows_follow_the_log_and_survive_the_handle() {
    let folder = TempDir::new().unwrap();
    let counts = Counts::version(1);
    let open = |counts: Counts| Retold::builder().projection(counts).open(folder.path());
    let retold = open(counts.clone()).await.unwrap();
    append(&retold, "ordered", 20).await;
    let last = append(&retold, "paid", 10).await;
    caught_up(&retold, "counts").await;
    let expected = vec![vec!["ordered", "20", "20"], vec!["paid", "10", "30"]];
    assert_eq!(rows(&retold, "counts", "counts").await, expected);
    let row = retold
        .projection("counts")
        .row("counts", "paid")
        .await
        .unwrap();
    assert_eq!(row.unwrap().integer("last_position").unwrap(), 30);
    let none = retold.projection("counts").row("counts", "lost").await;
    assert_eq!(none.unwrap(), None);
    retold.close().await.unwrap();

    // What was committed is not applied again.
    let retold = open(counts.clone()).await.unwrap();
    append(&retold, "paid", 1).await;
    caught_up(&retold, "counts").await;
    let expected = vec![vec!["ordered", "20", "20"], vec!["paid", "11", "31"]];
    assert_eq!(rows(&retold, "counts", "counts").await, expected);
    assert_eq!(counts.calls.load(Ordering::Relaxed), last + 1);
    retold.close().await.unwrap();

    // The file is a database that anything may read.
    let file = folder.path().join("views/counts@1.db");
    let database = retold_sqlite::rusqlite::Connection::open(file).unwrap();
    let sql = "SELECT sum(events) FROM counts";
    let sum: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 31);
}

#[tokio::test]
async fn a_projection_that_fails_stops_in_front_of_the_event_and_goes_on_once_mended() {
    for fails in [1, 2] {
        let counts = Counts::version(1);
        counts.fails.store(fails, Ordering::Relaxed);
        let builder = Retold::builder().projection(counts.clone());
        let retold = builder.open("memory:").await.unwrap();
        append(&retold, "good", 5).await;
        let bad = retold
            .append(event("1", "bad"))
            .await
            .unwrap()
            .events
            .remove(0);
        append(&retold, "good", 5).await;
        let handle = retold.projection("counts");
        let current = || async {
            let status = handle.status().await.unwrap();
            status.version(VersionRole::Current).cloned()
        };
        let has_failed = || async {
            let current = current().await;
            current.is_some_and(|current| current.state.name() == "failed")
        };
        until("the failure", has_failed).await;
        let stopped = current().await.unwrap();
        let VersionState::Failed(failure) = &stopped.state else {
            panic!("{stopped:?}");
        };
        assert_eq!(failure.event_id, bad.metadata.event_id);
        assert_eq!(
            (failure.position, &*failure.event_type),
            (bad.position, "bad")
        );
        assert!(failure.error.contains("bad"), "{failure:?}");
        assert_eq!(stopped.complete_through, bad.position - 1);

        // To try again before it is mended changes nothing.
        handle.resume().await.unwrap();
        until("the failure again", has_failed).await;
        counts.fails.store(0, Ordering::Relaxed);
        handle.resume().await.unwrap();
        caught_up(&retold, "counts").await;
        let expected = vec![vec!["bad", "1", "6"], vec!["good", "10", "11"]];
        assert_eq!(rows(&retold, "counts", "counts").await, expected);
        retold.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_paused_projection_stands_still_also_after_it_is_opened_again() {
    let folder = TempDir::new().unwrap();
    let open = || {
        Retold::builder()
            .projection(Counts::version(1))
            .open(folder.path())
    };
    let retold = open().await.unwrap();
    append(&retold, "good", 1).await;
    caught_up(&retold, "counts").await;
    let handle = retold.projection("counts");
    handle.pause("we look at it").await.unwrap();
    let last = append(&retold, "good", 1).await;
    retold.close().await.unwrap();

    let retold = open().await.unwrap();
    let handle = retold.projection("counts");
    until("it is opened", || async {
        !handle.status().await.unwrap().versions.is_empty()
    })
    .await;
    let status = handle.status().await.unwrap();
    let current = status.version(VersionRole::Current).unwrap();
    let reason = "we look at it".to_owned();
    assert_eq!(current.state, VersionState::Paused { reason });
    assert!(current.complete_through < last);
    handle.resume().await.unwrap();
    caught_up(&retold, "counts").await;
    assert_eq!(rows(&retold, "counts", "counts").await[0][1], "2");
    retold.close().await.unwrap();
}

#[tokio::test]
async fn who_only_reads_sees_the_rows_as_they_are() {
    let folder = TempDir::new().unwrap();
    let builder = || Retold::builder().projection(Counts::version(1));
    let retold = builder().open(folder.path()).await.unwrap();
    append(&retold, "good", 3).await;
    caught_up(&retold, "counts").await;
    let reading = builder().read_only().open(folder.path()).await.unwrap();
    let handle = reading.projection("counts");
    handle.wait_through(3).await.unwrap();
    assert_eq!(
        rows(&reading, "counts", "counts").await,
        vec![vec!["good", "3", "3"]]
    );
    let status = handle.status().await.unwrap();
    assert_eq!(status.versions[0].state, VersionState::Frozen);
    reading.close().await.unwrap();
    retold.close().await.unwrap();
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let retold = Retold::builder().projection(Counts::version(1));
    let retold = retold.open("memory:").await.unwrap();
    append(&retold, "good", 1).await;
    caught_up(&retold, "counts").await;
    let handle = retold.projection("counts");
    let refused = |query: RowQuery| async { handle.rows("counts", query).await.unwrap_err() };
    let query = RowQuery::default();
    let wrong = refused(query.clone().equal("colour", "red"))
        .await
        .to_string();
    assert!(wrong.contains("colour is no column of counts"), "{wrong}");
    let wrong = refused(query.clone().equal("events", "red"))
        .await
        .to_string();
    assert!(wrong.contains("events holds integer"), "{wrong}");
    let wrong = handle.rows("rooms", query).await.unwrap_err().to_string();
    assert!(wrong.contains("a table rooms"), "{wrong}");
    let wrong = handle
        .row("counts", ("good", 1))
        .await
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("event_type"), "{wrong}");
    let unknown = retold.projection("nothing").status().await.unwrap_err();
    assert!(
        unknown.to_string().contains("a projection named nothing"),
        "{unknown}"
    );

    let twice = Retold::builder().projection(Counts::version(1));
    let twice = twice.projection(Counts::version(1)).open("memory:").await;
    assert!(
        twice
            .unwrap_err()
            .to_string()
            .contains("must not be given twice")
    );
    retold.close().await.unwrap();
}

#[tokio::test]
async fn views_of_sql_are_made_once_the_tables_have_caught_up() {
    let folder = TempDir::new().unwrap();
    let views = |select: &str| {
        let views = retold_sqlite::SqliteViews::new(folder.path().join("views"));
        std::sync::Arc::new(views.sql_view("counts", "most", select))
    };
    for (select, expected) in [
        (
            "SELECT event_type FROM counts ORDER BY events DESC LIMIT 1",
            "good",
        ),
        ("SELECT event_type || '!' FROM counts", "good!"),
    ] {
        let builder = Retold::builder().projection(Counts::version(1));
        let retold = builder
            .view_store(views(select))
            .open(folder.path())
            .await
            .unwrap();
        append(&retold, "good", 3).await;
        caught_up(&retold, "counts").await;
        let file = folder.path().join("views/counts@1.db");
        let database = retold_sqlite::rusqlite::Connection::open(file).unwrap();
        let sql = "SELECT * FROM most";
        let found: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, expected);
        retold.close().await.unwrap();
    }
}

/// Copies what is in a folder, but for one name.
fn copy(from: &Path, to: &Path, but: &str) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_name() == but {
            continue;
        }
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target, but),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[tokio::test]
async fn a_log_that_is_behind_a_view_has_lost_its_tail_and_the_view_is_made_again() {
    let (before, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let open = async |folder: &Path| {
        let builder = Retold::builder().projection(Counts::version(1));
        builder.open(folder).await.unwrap()
    };
    let retold = open(before.path()).await;
    append(&retold, "good", 3).await;
    caught_up(&retold, "counts").await;
    retold.close().await.unwrap();
    let newer = TempDir::new().unwrap();
    copy(before.path(), newer.path(), "");
    let retold = open(newer.path()).await;
    append(&retold, "good", 4).await;
    caught_up(&retold, "counts").await;
    retold.close().await.unwrap();

    // The older log, and the newer view.
    copy(before.path(), folder.path(), "views");
    copy(
        &newer.path().join("views"),
        &folder.path().join("views"),
        "",
    );
    let retold = open(folder.path()).await;
    let refused = retold.append(event("1", "good")).await.unwrap_err();
    assert!(
        refused.to_string().contains("the log ends at 3"),
        "{refused}"
    );
    // It stays so until somebody accepts the loss: the view is not made again before.
    let handle = retold.projection("counts");
    until("that it waits", || async {
        let status = handle.status().await.unwrap();
        status
            .versions
            .first()
            .is_some_and(|version| version.state.name() == "waiting")
    })
    .await;
    retold.close().await.unwrap();
    let retold = open(folder.path()).await;
    assert!(retold.append(event("1", "good")).await.is_err());
    retold.close().await.unwrap();
    let accepted = retold::recovery::accept_loss(folder.path(), "an older copy").await;
    accepted.unwrap();
    let retold = open(folder.path()).await;
    append(&retold, "late", 1).await;
    caught_up(&retold, "counts").await;
    let counts = rows(&retold, "counts", "counts").await;
    let counts: Vec<&[String]> = counts.iter().map(|row| &row[..2]).collect();
    assert_eq!(counts, [["good", "3"], ["late", "1"]]);
    retold.close().await.unwrap();
}
