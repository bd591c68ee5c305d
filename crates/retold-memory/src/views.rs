//! Views in memory: the plain model of what a view promises.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use retold_core::{
    Error, RowChange, RowPage, RowQuery, Table, Value, ViewId, ViewProgress, ViewReader, ViewStore,
    ViewWriter,
};

/// Views in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryViews {
    views: Arc<Mutex<BTreeMap<ViewId, Shared>>>,
}

type Shared = Arc<Mutex<Contents>>;

/// What a view holds, as it was committed.
#[derive(Clone, Default)]
struct Contents {
    tables: BTreeMap<String, Rows>,
    progress: Option<ViewProgress>,
}

#[derive(Clone)]
struct Rows {
    table: Table,
    rows: BTreeMap<Vec<Value>, Vec<Value>>,
}

impl MemoryViews {
    /// No views.
    pub fn new() -> MemoryViews {
        MemoryViews::default()
    }

    fn views(&self) -> MutexGuard<'_, BTreeMap<ViewId, Shared>> {
        lock(&self.views)
    }
}

/// Nothing is left half changed where a holder panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ViewStore for MemoryViews {
    fn views(&self) -> Result<Vec<ViewId>, Error> {
        Ok(self.views().keys().cloned().collect())
    }

    fn open(&self, id: &ViewId) -> Result<Box<dyn ViewWriter>, Error> {
        id.check()?;
        let shared = Arc::clone(self.views().entry(id.clone()).or_default());
        let contents = lock(&shared).clone();
        Ok(Box::new(Writer {
            shared,
            contents,
            undo: Vec::new(),
        }))
    }

    fn reader(&self, id: &ViewId) -> Result<Box<dyn ViewReader>, Error> {
        match self.views().get(id) {
            Some(shared) => Ok(Box::new(Reader(Arc::clone(shared)))),
            None => Err(Error::NotFound {
                what: format!("a view {id}"),
            }),
        }
    }

    fn remove(&self, id: &ViewId) -> Result<(), Error> {
        self.views().remove(id);
        Ok(())
    }
}

/// What was there before a change, the newest last.
enum Undo {
    Row(String, Vec<Value>, Option<Vec<Value>>),
    Table(String),
}

/// A copy that is written, and how to undo or repeat what was done to it since the last commit.
struct Writer {
    shared: Shared,
    contents: Contents,
    undo: Vec<Undo>,
}

impl Writer {
    fn rows_of(&mut self, table: &Table) -> Result<&mut Rows, Error> {
        let rows = self.contents.tables.get_mut(&table.name);
        rows.ok_or_else(|| unknown(&table.name))
    }
}

fn unknown(table: &str) -> Error {
    Error::NotFound {
        what: format!("a table {table}"),
    }
}

impl ViewWriter for Writer {
    fn progress(&mut self) -> Result<Option<ViewProgress>, Error> {
        Ok(self.contents.progress.clone())
    }

    fn declare(&mut self, table: &Table) -> Result<(), Error> {
        table.check()?;
        match self.contents.tables.get(&table.name) {
            Some(known) if known.table == *table => Ok(()),
            Some(_) => {
                let reason = format!("{} was declared otherwise in this view", table.name);
                Err(Error::invalid("table", reason))
            }
            None => {
                let rows = Rows {
                    table: table.clone(),
                    rows: BTreeMap::new(),
                };
                self.contents.tables.insert(table.name.clone(), rows);
                self.undo.push(Undo::Table(table.name.clone()));
                Ok(())
            }
        }
    }

    fn tables(&mut self) -> Result<Vec<Table>, Error> {
        let tables = self.contents.tables.values();
        Ok(tables.map(|rows| rows.table.clone()).collect())
    }

    fn get(&mut self, table: &Table, key: &[Value]) -> Result<Option<Vec<Value>>, Error> {
        Ok(self.rows_of(table)?.rows.get(key).cloned())
    }

    fn rows(&mut self, table: &Table, query: &RowQuery) -> Result<RowPage, Error> {
        let through = self.contents.progress.as_ref();
        let through = through.map_or(0, |progress| progress.complete_through);
        page(self.rows_of(table)?, query, through)
    }

    fn write(
        &mut self,
        table: &Table,
        changes: &mut dyn Iterator<Item = RowChange<'_>>,
    ) -> Result<(), Error> {
        for (key, row) in changes {
            let rows = &mut self.rows_of(table)?.rows;
            let before = match row {
                Some(row) => rows.insert(key.to_vec(), row.to_vec()),
                None => rows.remove(key),
            };
            self.undo
                .push(Undo::Row(table.name.clone(), key.to_vec(), before));
        }
        Ok(())
    }

    fn make_indexes(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn commit(&mut self, progress: &ViewProgress) -> Result<(), Error> {
        let mut shared = lock(&self.shared);
        for undo in self.undo.drain(..) {
            match undo {
                Undo::Table(name) => {
                    let rows = self.contents.tables[&name].clone();
                    shared.tables.insert(name, rows);
                }
                Undo::Row(name, key, _) => {
                    let now = self.contents.tables[&name].rows.get(&key);
                    let kept = shared.tables.get_mut(&name).expect("committed before");
                    match now {
                        Some(row) => kept.rows.insert(key, row.clone()),
                        None => kept.rows.remove(&key),
                    };
                }
            }
        }
        shared.progress = Some(progress.clone());
        self.contents.progress = Some(progress.clone());
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Error> {
        self.undo.clear();
        self.contents = Contents::default();
        *lock(&self.shared) = Contents::default();
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), Error> {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Table(name) => {
                    self.contents.tables.remove(&name);
                }
                Undo::Row(name, key, before) => {
                    let Some(rows) = self.contents.tables.get_mut(&name) else {
                        continue;
                    };
                    match before {
                        Some(row) => rows.rows.insert(key, row),
                        None => rows.rows.remove(&key),
                    };
                }
            }
        }
        Ok(())
    }
}

struct Reader(Shared);

impl ViewReader for Reader {
    fn progress(&self) -> Result<Option<ViewProgress>, Error> {
        Ok(lock(&self.0).progress.clone())
    }

    fn tables(&self) -> Result<Vec<Table>, Error> {
        let contents = lock(&self.0);
        let tables = contents.tables.values();
        Ok(tables.map(|rows| rows.table.clone()).collect())
    }

    fn rows(&self, table: &str, query: &RowQuery) -> Result<RowPage, Error> {
        let contents = lock(&self.0);
        let rows = contents.tables.get(table).ok_or_else(|| unknown(table))?;
        let through = contents.progress.as_ref();
        page(rows, query, through.map_or(0, |p| p.complete_through))
    }

    fn pin(&self) -> Result<Box<dyn ViewReader>, Error> {
        let contents = lock(&self.0).clone();
        Ok(Box::new(Reader(Arc::new(Mutex::new(contents)))))
    }
}

fn page(rows: &Rows, query: &RowQuery, through: u64) -> Result<RowPage, Error> {
    let Rows { table, rows } = rows;
    query.check(table)?;
    let column = |name: &String| table.position_of(name).expect("checked");
    let equal: Vec<(usize, &Value)> = query.equal.iter().map(|(n, v)| (column(n), v)).collect();
    let order = query.order.as_ref().map(column);
    let place = |row: &Vec<Value>| -> Vec<Value> {
        let key = row[..table.key_columns].iter().cloned();
        order
            .map(|at| row[at].clone())
            .into_iter()
            .chain(key)
            .collect()
    };
    let turned = |ordering: Ordering| match query.is_descending {
        true => ordering.reverse(),
        false => ordering,
    };
    let is_behind = |row: &&Vec<Value>| {
        let after = query.after.as_ref();
        after.is_none_or(|after| turned(place(row).cmp(after)) == Ordering::Greater)
    };
    let admitted = |row: &&Vec<Value>| equal.iter().all(|(at, value)| row[*at] == **value);
    let mut found: Vec<_> = rows.values().filter(admitted).filter(is_behind).collect();
    found.sort_by(|one, other| turned(place(one).cmp(&place(other))));
    let found = found
        .into_iter()
        .take(query.limit.saturating_add(1))
        .cloned()
        .collect();
    Ok(RowPage::of(table, query, found, through))
}
