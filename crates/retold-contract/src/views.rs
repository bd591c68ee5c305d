//! Views: rows that are kept together with how far they go, read in pages by any column, while
//! they are written.
#![allow(clippy::unwrap_used, reason = "a store that fails breaks its promise")]

use std::cmp::Ordering;
use std::sync::Arc;

use retold_core::{
    Checkpoint, ColumnType, Error, RowQuery, Table, Value, ViewId, ViewProgress, ViewReader,
    ViewStore, ViewWriter,
};
use uuid::Uuid;

use crate::fixture::tell;
use crate::random::Random;
use crate::{ViewPlace, seeds};

fn id(version: &str) -> ViewId {
    ViewId {
        name: "counts".into(),
        version: version.into(),
    }
}

fn table() -> Table {
    Table::new("rows")
        .key("name", ColumnType::Text)
        .key("number", ColumnType::Integer)
        .optional("real", ColumnType::Real)
        .optional("text", ColumnType::Text)
        .optional("json", ColumnType::Json)
        .index(&["text"])
}

fn progress(position: u64) -> ViewProgress {
    ViewProgress {
        checkpoint: Some(Checkpoint {
            log_id: Uuid::from_u128(7),
            position,
            event_id: Uuid::from_u128(u128::from(position)),
        }),
        complete_through: position + 1,
        made_by: "1-é".into(),
        has_caught_up: position > 1,
    }
}

fn row(name: &str, number: i64) -> Vec<Value> {
    vec![
        name.into(),
        number.into(),
        Value::Null,
        name.into(),
        Value::Null,
    ]
}

fn put(writer: &mut dyn ViewWriter, table: &Table, rows: &[Vec<Value>]) -> Result<(), Error> {
    let mut changes = rows
        .iter()
        .map(|row| (&row[..table.key_columns], Some(&**row)));
    writer.write(table, &mut changes)
}

fn delete(writer: &mut dyn ViewWriter, table: &Table, key: &[Value]) -> Result<(), Error> {
    writer.write(table, &mut std::iter::once((key, None)))
}

fn all(reader: &dyn ViewReader) -> Vec<Vec<Value>> {
    reader
        .rows("rows", &RowQuery::default().limit(1_000))
        .unwrap()
        .rows
}

fn opened(place: &dyn ViewPlace) -> (Arc<dyn ViewStore>, Box<dyn ViewWriter>) {
    let store = place.store();
    let mut writer = store.open(&id("1")).unwrap();
    writer.declare(&table()).unwrap();
    (store, writer)
}

pub fn rows_and_progress_are_kept_together(place: &dyn ViewPlace) {
    let (store, mut writer) = opened(place);
    assert_eq!(writer.progress().unwrap(), None);
    put(&mut *writer, &table(), &[row("a", 1), row("b", 2)]).unwrap();
    writer.commit(&progress(1)).unwrap();
    let reader = store.reader(&id("1")).unwrap();
    assert_eq!(reader.progress().unwrap(), Some(progress(1)));
    assert_eq!(all(&*reader), [row("a", 1), row("b", 2)]);

    // What is not committed is seen by the writer alone.
    put(&mut *writer, &table(), &[row("c", 3)]).unwrap();
    delete(&mut *writer, &table(), &row("a", 1)[..2]).unwrap();
    assert_eq!(
        writer.get(&table(), &row("c", 3)[..2]).unwrap(),
        Some(row("c", 3))
    );
    assert_eq!(writer.get(&table(), &row("a", 1)[..2]).unwrap(), None);
    assert_eq!(all(&*reader), [row("a", 1), row("b", 2)]);
    writer.commit(&progress(2)).unwrap();
    assert_eq!(all(&*reader), [row("b", 2), row("c", 3)]);
    assert_eq!(reader.progress().unwrap(), Some(progress(2)));
    let page = reader.rows("rows", &RowQuery::default()).unwrap();
    assert_eq!(page.complete_through, 3);
}

pub fn what_is_not_committed_is_undone(place: &dyn ViewPlace) {
    let (store, mut writer) = opened(place);
    put(&mut *writer, &table(), &[row("a", 1)]).unwrap();
    writer.commit(&progress(1)).unwrap();
    put(&mut *writer, &table(), &[row("b", 2)]).unwrap();
    delete(&mut *writer, &table(), &row("a", 1)[..2]).unwrap();
    let more = Table::new("more").key("name", ColumnType::Text);
    writer.declare(&more).unwrap();
    writer.rollback().unwrap();
    assert_eq!(
        writer.get(&table(), &row("a", 1)[..2]).unwrap(),
        Some(row("a", 1))
    );
    assert_eq!(writer.tables().unwrap(), [table()]);

    // Dropping the writer is the same.
    put(&mut *writer, &table(), &[row("b", 2)]).unwrap();
    drop(writer);
    let mut writer = store.open(&id("1")).unwrap();
    assert_eq!(writer.progress().unwrap(), Some(progress(1)));
    assert_eq!(writer.get(&table(), &row("b", 2)[..2]).unwrap(), None);
    let reader = store.reader(&id("1")).unwrap();
    assert_eq!(all(&*reader), [row("a", 1)]);

    writer.clear().unwrap();
    assert_eq!(
        (writer.progress().unwrap(), writer.tables().unwrap()),
        (None, vec![])
    );
    assert_eq!(reader.progress().unwrap(), None);
    writer.declare(&table()).unwrap();
    writer.commit(&progress(1)).unwrap();
    assert_eq!(all(&*reader), Vec::<Vec<Value>>::new());
}

pub fn values_are_kept_as_they_are(place: &dyn ViewPlace) {
    let (store, mut writer) = opened(place);
    let texts = ["", "é\u{1F980}\n'\"%_\0", "2024-01-01T00:00:00.000000Z"];
    let reals = [0.0, -0.1, 1e300, f64::MIN_POSITIVE, 3.0];
    let mut rows = Vec::new();
    for (nth, number) in [i64::MIN, -1, 0, 1 << 53, i64::MAX].into_iter().enumerate() {
        rows.push(vec![
            texts[nth % texts.len()].into(),
            number.into(),
            Value::Real(reals[nth]),
            if nth % 2 == 0 {
                Value::Null
            } else {
                texts[nth % texts.len()].into()
            },
            r#"{"big":1e400,"a":1,"a":2}"#.into(),
        ]);
    }
    put(&mut *writer, &table(), &rows).unwrap();
    writer.commit(&progress(1)).unwrap();
    rows.sort();
    assert_eq!(all(&*store.reader(&id("1")).unwrap()), rows);
    for row in rows {
        assert_eq!(writer.get(&table(), &row[..2]).unwrap(), Some(row));
    }
}

pub fn a_pinned_reader_sees_one_moment(place: &dyn ViewPlace) {
    let (store, mut writer) = opened(place);
    put(&mut *writer, &table(), &[row("a", 1)]).unwrap();
    writer.commit(&progress(1)).unwrap();
    let reader = store.reader(&id("1")).unwrap();
    let pinned = reader.pin().unwrap();
    put(&mut *writer, &table(), &[row("b", 2)]).unwrap();
    writer.commit(&progress(2)).unwrap();
    assert_eq!(all(&*pinned), [row("a", 1)]);
    assert_eq!(pinned.progress().unwrap(), Some(progress(1)));
    assert_eq!(all(&*reader).len(), 2);
}

pub fn a_table_is_declared_in_one_way(place: &dyn ViewPlace) {
    let (_store, mut writer) = opened(place);
    writer.declare(&table()).unwrap();
    let other = table().optional("more", ColumnType::Text);
    let refused = writer.declare(&other).unwrap_err();
    assert!(
        refused.to_string().contains("rows was declared otherwise"),
        "{refused}"
    );
    for (name, table) in [
        ("has no key", Table::new("a").column("b", ColumnType::Text)),
        ("of SQL", Table::new("a\"b").key("b", ColumnType::Text)),
        (
            "of Retold's",
            Table::new("retold_a").key("b", ColumnType::Text),
        ),
        ("in capitals", Table::new("Rows").key("b", ColumnType::Text)),
        ("a key of reals", Table::new("a").key("b", ColumnType::Real)),
        (
            "a column twice",
            Table::new("a")
                .key("b", ColumnType::Text)
                .key("b", ColumnType::Text),
        ),
        (
            "no such column",
            Table::new("a").key("b", ColumnType::Text).index(&["c"]),
        ),
    ] {
        assert!(
            matches!(writer.declare(&table), Err(Error::Invalid { .. })),
            "{name}"
        );
    }
}

pub fn views_are_listed_and_removed(place: &dyn ViewPlace) {
    let store = place.store();
    assert_eq!(store.views().unwrap(), []);
    for version in ["2", "1", "1.2"] {
        let mut writer = store.open(&id(version)).unwrap();
        writer.declare(&table()).unwrap();
        writer.commit(&progress(1)).unwrap();
    }
    assert_eq!(store.views().unwrap(), [id("1"), id("1.2"), id("2")]);
    store.remove(&id("1.2")).unwrap();
    store.remove(&id("1.2")).unwrap();
    assert_eq!(store.views().unwrap(), [id("1"), id("2")]);
    assert!(matches!(
        store.reader(&id("1.2")),
        Err(Error::NotFound { .. })
    ));
    for wrong in ["", "a", "1.", "../1"] {
        assert!(store.open(&id(wrong)).is_err(), "{wrong}");
    }
}

pub fn a_query_that_does_not_fit_is_refused(place: &dyn ViewPlace) {
    let (store, mut writer) = opened(place);
    writer.commit(&progress(1)).unwrap();
    let reader = store.reader(&id("1")).unwrap();
    let query = RowQuery::default;
    let mut short = query().order("text");
    short.after = Some(vec!["a".into()]);
    for query in [
        query().limit(0),
        query().equal("colour", "red"),
        query().equal("number", "red"),
        query().order("colour"),
        short,
    ] {
        let refused = reader.rows("rows", &query);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{query:?}");
    }
    let unknown = reader.rows("rooms", &query());
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
}

/// Pages, in every order, are what sorting and selecting all rows comes to.
pub fn pages_in_any_order_are_the_rows(place: &dyn ViewPlace) {
    let (store, mut writer) = opened(place);
    let table = table();
    let seed = seeds::seed();
    tell(&format!("seed {seed}"));
    let mut random = Random::new(seed);
    let mut pick = |of: u64| random.below(of);
    let text = |nth: u64| Value::from(["", "a", "b", "é", "zz"][usize::try_from(nth).unwrap()]);
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for _ in 0..120 {
        let optional = pick(3) == 0;
        rows.push(vec![
            text(pick(5)),
            i64::try_from(pick(12)).unwrap().into(),
            if pick(3) == 0 {
                Value::Null
            } else {
                Value::Real(f64::from(u32::try_from(pick(4)).unwrap()))
            },
            if optional { Value::Null } else { text(pick(5)) },
            Value::Null,
        ]);
    }
    rows.sort();
    rows.dedup_by(|one, other| one[..2] == other[..2]);
    put(&mut *writer, &table, &rows).unwrap();
    for is_indexed in [false, true] {
        if is_indexed {
            writer.make_indexes().unwrap();
            writer.make_indexes().unwrap();
        }
        writer.commit(&progress(1)).unwrap();
        let reader = store.reader(&id("1")).unwrap();
        for _ in 0..100 {
            let orders = [
                None,
                Some("name"),
                Some("number"),
                Some("real"),
                Some("text"),
            ];
            let order = orders[usize::try_from(pick(5)).unwrap()];
            let mut query = RowQuery {
                limit: usize::try_from(pick(7)).unwrap() + 1,
                is_descending: pick(2) == 0,
                order: order.map(str::to_owned),
                ..RowQuery::default()
            };
            match pick(4) {
                0 => query = query.equal("text", text(pick(5))),
                1 => query = query.equal("text", Value::Null),
                2 => query = query.equal("name", text(pick(5))),
                _ => {}
            }
            let mut expected: Vec<Vec<Value>> = rows.clone();
            expected.retain(|row| {
                let admits = |(name, value): &(String, Value)| {
                    row[table.position_of(name).unwrap()] == *value
                };
                query.equal.iter().all(admits)
            });
            let order = query
                .order
                .as_ref()
                .map(|name| table.position_of(name).unwrap());
            expected.sort_by(|one, other| {
                let by = order.map_or(Ordering::Equal, |at| one[at].cmp(&other[at]));
                let by = by.then_with(|| one[..2].cmp(&other[..2]));
                if query.is_descending {
                    by.reverse()
                } else {
                    by
                }
            });
            let mut paged = Vec::new();
            let mut next = query.clone();
            loop {
                let page = reader.rows("rows", &next).unwrap();
                assert!(page.rows.len() <= query.limit);
                paged.extend(page.rows);
                match page.next {
                    Some(after) => next.after = Some(after),
                    None => break,
                }
            }
            assert_eq!(paged, expected, "{query:?}");
            assert_eq!(
                writer.rows(&table, &query).unwrap().rows,
                reader.rows("rows", &query).unwrap().rows
            );
        }
    }
}
