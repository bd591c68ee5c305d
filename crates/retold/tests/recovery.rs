//! An older log beside a newer `state.db`: noticed, refused, and gone on from once an
//! operator has accepted the loss.

#![cfg(all(feature = "engine", feature = "sqlite"))]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use retold::{Retold, StoreError, recovery};
use support::{block, start_work};

async fn open(folder: &Path) -> Retold {
    let builder = Retold::builder().builtin_machines();
    builder.open(folder).await.unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[tokio::test]
async fn an_older_log_beside_a_newer_state_db_is_refused_until_the_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let retold = open(&data).await;
    retold.transition(start_work("1")).await.unwrap();
    retold.close().await.unwrap();
    copy(&data, &backup);

    let retold = open(&data).await;
    retold.transition(block("1")).await.unwrap();
    let made = retold
        .snapshots("Issue", "1")
        .create()
        .force()
        .await
        .unwrap();
    assert_eq!(made.snapshot.sequence_number, 2);
    retold.close().await.unwrap();

    fs::remove_dir_all(data.join("log")).unwrap();
    copy(&backup.join("log"), &data.join("log"));
    let retold = open(&data).await;
    let refused = retold.transition(block("1")).await;
    let Err(retold::Error::Store(StoreError::Corrupt { damage, advice })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(damage.position, Some(2));
    assert!(advice.contains("AcceptLoss"), "{advice}");
    // What is left can be read, and nothing of the lost part leaks into it.
    let state = retold.state("Issue", "1").await.unwrap();
    assert_eq!(state.status.as_deref(), Some("IN_PROGRESS"));
    retold.close().await.unwrap();

    // The log is whole; what lies beside it tells that it was longer.
    let verified = recovery::verify(&data).await.unwrap();
    assert!(!verified.is_whole() && verified.damage.is_empty());
    assert_eq!(verified.ahead.unwrap().position, Some(2));
    let recovered = recovery::accept_loss(&data, "restored from last night")
        .await
        .unwrap();
    assert_eq!(recovered.head, 1);
    assert!(recovery::verify(&data).await.unwrap().is_whole());
    for _ in 0..2 {
        let retold = open(&data).await;
        assert_eq!(retold.store().log_id(), recovered.log_id);
        let state = retold.state("Issue", "1").await.unwrap();
        let is_blocked = state.status.as_deref() == Some("BLOCKED");
        match is_blocked {
            false => drop(retold.transition(block("1")).await.unwrap()),
            true => assert_eq!(state.sequence_number, 2),
        }
        retold.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_is_looked_at_beside_its_writer_without_being_changed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let writer = open(&data).await;
    writer.transition(start_work("1")).await.unwrap();
    writer
        .snapshots("Issue", "1")
        .create()
        .force()
        .await
        .unwrap();
    let looking = async || {
        let builder = Retold::builder().builtin_machines().read_only();
        builder.open(&data).await.unwrap()
    };
    let reader = looking().await;
    let mut head = reader.store().head().await.unwrap().position;
    while head < 1 {
        head = reader.store().wait_past(head).await.unwrap();
    }
    let state = reader.state("Issue", "1").await.unwrap();
    assert_eq!(state.status.as_deref(), Some("IN_PROGRESS"));
    let snapshots = reader.snapshots("Issue", "1");
    assert_eq!(
        snapshots.latest().await.unwrap().unwrap().sequence_number,
        1
    );
    let refused = reader.transition(block("1")).await;
    assert!(
        matches!(
            &refused,
            Err(retold::Error::Store(StoreError::Unsupported { .. }))
        ),
        "{refused:?}"
    );
    reader.close().await.unwrap();
    writer.close().await.unwrap();

    let files = || -> Vec<_> {
        let mut files: Vec<_> = fs::read_dir(&data)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    entry.file_name(),
                    entry.metadata().unwrap().modified().unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    };
    let before = files();
    assert!(recovery::verify(&data).await.unwrap().is_whole());
    looking().await.close().await.unwrap();
    assert_eq!(files(), before);
}
