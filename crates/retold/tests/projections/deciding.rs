//! Versions: built beside the one that is read, taking its place, brought back, compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use retold::projection::VersionRole;
use retold::{Part, Retold, Upcasters};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Counts, append, caught_up, event, rows, until};

#[tokio::test]
async fn a_new_version_is_built_beside_and_takes_over_and_the_old_one_can_be_brought_back() {
    let folder = TempDir::new().unwrap();
    let retold = Retold::builder().projection(Counts::version(1));
    let retold = retold.open(folder.path()).await.unwrap();
    append(&retold, "good", 10).await;
    caught_up(&retold, "counts").await;
    retold.close().await.unwrap();

    // With both versions at hand the old one is carried on while the new one is built.
    let builder = Retold::builder().projection(Counts::version(2));
    let builder = builder.projection(Counts::version(1));
    let retold = builder.open(folder.path()).await.unwrap();
    let handle = retold.projection("counts");
    let read = |role| {
        let handle = handle.clone();
        async move {
            let status = handle.status().await.unwrap();
            status
                .version(role)
                .map(|version| version.version.to_string())
        }
    };
    until("version 2", || async {
        read(VersionRole::Current).await.as_deref() == Some("2")
    })
    .await;
    assert_eq!(read(VersionRole::Previous).await.as_deref(), Some("1"));
    append(&retold, "good", 1).await;
    caught_up(&retold, "counts").await;
    assert_eq!(rows(&retold, "counts", "counts").await[0][1], "22");

    let compared = handle.compare(VersionRole::Previous).await.unwrap();
    assert_eq!(compared.complete_through, compared.with_complete_through);
    let table = &compared.tables[0];
    assert_eq!(
        (table.different, table.equal, table.missing, table.added),
        (1, 0, 0, 0)
    );
    assert_eq!(table.differences[0].key, vec!["good".into()]);

    assert_eq!(handle.bring_back().await.unwrap(), "1");
    caught_up(&retold, "counts").await;
    assert_eq!(rows(&retold, "counts", "counts").await[0][1], "11");
    retold.close().await.unwrap();

    // Somebody decided so; opening it again does not decide otherwise.
    let builder = Retold::builder().projection(Counts::version(2));
    let builder = builder.projection(Counts::version(1));
    let retold = builder.open(folder.path()).await.unwrap();
    caught_up(&retold, "counts").await;
    assert_eq!(rows(&retold, "counts", "counts").await[0][1], "11");
    let handle = retold.projection("counts");
    assert_eq!(handle.discard().await.unwrap(), "2");
    assert!(!folder.path().join("views/counts@2.db").exists());
    assert!(handle.bring_back().await.is_err());
    retold.close().await.unwrap();
}

#[tokio::test]
async fn a_version_without_its_code_is_read_until_the_new_one_is_there() {
    let folder = TempDir::new().unwrap();
    let retold = Retold::builder().projection(Counts::version(1));
    let retold = retold.open(folder.path()).await.unwrap();
    append(&retold, "good", 3).await;
    caught_up(&retold, "counts").await;
    retold.close().await.unwrap();

    let counts = Counts::version(2);
    counts.fails.store(1, Ordering::Relaxed);
    let retold = Retold::builder().projection(counts.clone());
    let retold = retold.open(folder.path()).await.unwrap();
    append(&retold, "bad", 1).await;
    let handle = retold.projection("counts");
    let building = || async {
        let status = handle.status().await.unwrap();
        status
            .version(VersionRole::Building)
            .map(|version| version.state.name())
    };
    until("a failure", || async { building().await == Some("failed") }).await;
    // The new one is stuck; the old one answers, as it was.
    assert_eq!(
        rows(&retold, "counts", "counts").await,
        vec![vec!["good", "3", "3"]]
    );
    counts.fails.store(0, Ordering::Relaxed);
    handle.resume().await.unwrap();
    caught_up(&retold, "counts").await;
    let rows = rows(&retold, "counts", "counts").await;
    let counts: Vec<&[String]> = rows.iter().map(|row| &row[..2]).collect();
    assert_eq!(counts, [["bad", "2"], ["good", "6"]]);
    retold.close().await.unwrap();
}

#[tokio::test]
async fn a_rebuild_can_be_held_paused_cancelled_and_promoted() {
    let folder = TempDir::new().unwrap();
    let open = || {
        Retold::builder()
            .projection(Counts::version(1))
            .open(folder.path())
    };
    let retold = open().await.unwrap();
    append(&retold, "good", 10).await;
    caught_up(&retold, "counts").await;
    let handle = retold.projection("counts");
    assert_eq!(handle.rebuild(true).await.unwrap(), "1.2");
    assert!(handle.rebuild(false).await.is_err(), "one is being built");
    let building = || async {
        let status = handle.status().await.unwrap();
        status.version(VersionRole::Building).cloned()
    };
    until("it has caught up", || async {
        building().await.unwrap().has_caught_up
    })
    .await;
    assert!(
        handle
            .compare(VersionRole::Building)
            .await
            .unwrap()
            .is_equal()
    );

    // It waits to be told, also where the handle is opened anew.
    assert_eq!(handle.pause("not now").await.unwrap(), "1.2");
    assert_eq!(building().await.unwrap().state.name(), "paused");
    assert_eq!(handle.cancel().await.unwrap(), "1.2");
    assert!(building().await.is_none());
    assert!(!folder.path().join("views/counts@1.2.db").exists());
    assert_eq!(handle.rebuild(true).await.unwrap(), "1.3");
    retold.close().await.unwrap();

    let retold = open().await.unwrap();
    let handle = retold.projection("counts");
    let building = || async {
        let status = handle.status().await.unwrap();
        status.version(VersionRole::Building).cloned()
    };
    until("it has caught up again", || async {
        building()
            .await
            .is_some_and(|building| building.has_caught_up)
    })
    .await;
    assert!(building().await.unwrap().is_held);
    assert_eq!(handle.promote().await.unwrap(), "1.3");
    caught_up(&retold, "counts").await;
    assert_eq!(rows(&retold, "counts", "counts").await[0][1], "10");

    // The one before the one before is not kept.
    handle.rebuild(false).await.unwrap();
    until("it takes over", || async {
        let status = handle.status().await.unwrap();
        status.versions[0].version == "1.4" && status.versions.len() == 2
    })
    .await;
    until("the first one is gone", || async {
        !folder.path().join("views/counts@1.db").exists()
    })
    .await;
    assert!(folder.path().join("views/counts@1.3.db").exists());
    retold.close().await.unwrap();
}

#[tokio::test]
async fn a_log_in_which_nothing_was_decided_holds_no_events_about_projections() {
    let retold = Retold::builder().projection(Counts::version(1));
    let retold = retold.open("memory:").await.unwrap();
    assert_eq!(append(&retold, "good", 1).await, 1);
    caught_up(&retold, "counts").await;
    assert_eq!(append(&retold, "good", 1).await, 2);
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_the_old_version_until_the_new_one_has_caught_up() {
    let folder = TempDir::new().unwrap();
    let retold = Retold::builder().projection(Counts::version(1));
    let retold = retold.open(folder.path()).await.unwrap();
    for _ in 0..20 {
        let events = (0..1_000).map(|nth| event(&nth.to_string(), "good"));
        retold.append(events.collect::<Vec<_>>()).await.unwrap();
    }
    caught_up(&retold, "counts").await;
    let handle = retold.projection("counts");
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (retold, is_over) = (retold.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    append(&retold, "good", 1).await;
                }
            })
        })
        .collect();
    // Each answer is whole, none is missing, and none goes back behind the one before.
    let reader = tokio::spawn({
        let (handle, is_over) = (handle.clone(), Arc::clone(&is_over));
        async move {
            let (mut last, mut answers) = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                let page = handle
                    .rows("counts", retold::RowQuery::default())
                    .await
                    .unwrap();
                let row = &page.rows[0];
                let events = row.integer("events").unwrap().cast_unsigned();
                // Six decisions at most lie among them.
                assert!(events <= page.complete_through && events + 6 >= page.complete_through);
                assert!(
                    page.complete_through >= last,
                    "{} after {last}",
                    page.complete_through
                );
                last = page.complete_through;
                answers += 1;
            }
            answers
        }
    });
    for _ in 0..3 {
        let version = handle.rebuild(false).await.unwrap();
        until("it takes over", || async {
            let status = handle.status().await.unwrap();
            status.versions[0].version == version && status.version(VersionRole::Building).is_none()
        })
        .await;
    }
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(reader.await.unwrap() > 10);
    caught_up(&retold, "counts").await;
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_at_once_do_not_let_go_of_each_others_versions() {
    let retold = Retold::builder().projection(Counts::version(1));
    let retold = retold.open("memory:").await.unwrap();
    append(&retold, "good", 10).await;
    caught_up(&retold, "counts").await;
    let handle = retold.projection("counts");
    let version = handle.rebuild(false).await.unwrap();
    until("it takes over", || async {
        handle.status().await.unwrap().versions[0].version == version
    })
    .await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (retold, is_over) = (retold.clone(), Arc::clone(&is_over));
        async move {
            while !is_over.load(Ordering::Relaxed) {
                append(&retold, "good", 1).await;
            }
        }
    });
    let comparers: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    let compared = handle.compare(VersionRole::Previous).await.unwrap();
                    assert_eq!(compared.complete_through, compared.with_complete_through);
                    assert!(compared.is_equal(), "{compared:?}");
                }
            })
        })
        .collect();
    for comparer in comparers {
        comparer.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    retold.close().await.unwrap();
}

#[tokio::test]
async fn upcasters_apply_and_others_make_another_version() {
    let folder = TempDir::new().unwrap();
    let open = async |upcasters: Option<Upcasters>| {
        let mut builder = Retold::builder().projection(Counts::version(1));
        if let Some(upcasters) = upcasters {
            builder = builder.upcasters(upcasters);
        }
        builder.open(folder.path()).await.unwrap()
    };
    let retold = open(None).await;
    append(&retold, "old", 3).await;
    append(&retold, "new", 2).await;
    caught_up(&retold, "counts").await;
    let expected = vec![vec!["new", "2", "5"], vec!["old", "3", "3"]];
    assert_eq!(rows(&retold, "counts", "counts").await, expected);
    retold.close().await.unwrap();

    // What was written as `old` is `new` and `split` today.
    let upcasters = Upcasters::of("Order").split(
        ("old", "1.0.0"),
        [("new", "1.0.0"), ("split", "1.0.0")],
        |_: Value| {
            let part = |name| Part::new((name, "1.0.0"), &Value::Null);
            Ok(vec![part("new"), part("split")])
        },
    );
    let retold = open(Some(upcasters)).await;
    let handle = retold.projection("counts");
    until("another version", || async {
        let status = handle.status().await.unwrap();
        status
            .versions
            .first()
            .is_some_and(|version| version.version == "1.2")
    })
    .await;
    let expected = vec![vec!["new", "5", "5"], vec!["split", "3", "3"]];
    assert_eq!(rows(&retold, "counts", "counts").await, expected);
    retold.close().await.unwrap();
}
