//! The rows as a projection sees them: those that it touched lately are in memory, and are written
//! together when the view is committed.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use retold_core::{Error, RowQuery, Table, Text, Value, ViewWriter};

use super::handle::Rows;
use super::row::{IntoValues, Row};

/// The tables of a view, and rows of them that are in memory.
#[derive(Default)]
pub(super) struct Cache {
    tables: Vec<Cached>,
    /// Bytes of the rows, roughly.
    bytes: usize,
}

struct Cached {
    table: Arc<Table>,
    /// None is a row that is known not to be there.
    rows: HashMap<Box<[Value]>, CachedRow, RandomState>,
    /// The keys of rows that are not written yet.
    changed: Vec<Box<[Value]>>,
}

struct CachedRow {
    values: Option<Vec<Value>>,
    is_changed: bool,
}

/// Bytes around a row in memory: the map's entry, and the key's and the row's own allocations.
const ROW_OVERHEAD: usize = 128;

impl Cache {
    pub(super) fn new(tables: Vec<Table>) -> Cache {
        let mut cache = Cache::default();
        for table in tables {
            cache.add(table);
        }
        cache
    }

    fn add(&mut self, table: Table) {
        self.tables.push(Cached {
            table: Arc::new(table),
            rows: HashMap::default(),
            changed: Vec::new(),
        });
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands what was changed to the writer, in the order of the keys.
    pub(super) fn write(&mut self, writer: &mut dyn ViewWriter) -> Result<(), Error> {
        for cached in &mut self.tables {
            if cached.changed.is_empty() {
                continue;
            }
            cached.changed.sort_unstable();
            let rows = &cached.rows;
            let mut changes = cached.changed.iter().map(|key| {
                let row = rows.get(key).and_then(|row| row.values.as_deref());
                (&**key, row)
            });
            writer.write(&cached.table, &mut changes)?;
            for key in cached.changed.drain(..) {
                if let Some(row) = cached.rows.get_mut(&key) {
                    row.is_changed = false;
                }
            }
        }
        Ok(())
    }

    /// Forgets all rows, those that are not written too.
    pub(super) fn forget_rows(&mut self) {
        for cached in &mut self.tables {
            cached.rows = HashMap::default();
            cached.changed.clear();
        }
        self.bytes = 0;
    }
}

/// The rows of a view, for [`apply`](super::Projection::apply).
pub struct View<'a> {
    pub(super) writer: &'a mut dyn ViewWriter,
    pub(super) cache: &'a mut Cache,
    /// What the store failed with, which says nothing about the event.
    pub(super) trouble: Option<Error>,
}

impl View<'_> {
    /// The row of a key; none where there is none.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where there is no such table, or the key is not
    /// one of it. `?` hands them, and those of the store, on.
    pub fn get(&mut self, table: &str, key: impl IntoValues) -> Result<Option<Row>, Error> {
        let at = self.table(table)?;
        let key = key.into_values();
        let table = Arc::clone(&self.cache.tables[at].table);
        whole_key(&table, &key)?;
        if let Some(known) = self.cache.tables[at].rows.get(&*key) {
            let values = known.values.clone();
            return Ok(values.map(|values| Row::new(table, values)));
        }
        let found = self.writer.get(&table, &key);
        let found = found.map_err(|error| self.failed(error))?;
        let row = CachedRow {
            values: found.clone(),
            is_changed: false,
        };
        self.cache.bytes += bytes_of_row(&key, found.as_deref());
        self.cache.tables[at].rows.insert(key.into(), row);
        Ok(found.map(|values| Row::new(table, values)))
    }

    /// Puts a row, in place of one of the same key.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where there is no such table, or the row does not
    /// fit it.
    pub fn put(&mut self, table: &str, row: impl IntoValues) -> Result<(), Error> {
        let at = self.table(table)?;
        let values = row.into_values();
        let table = &self.cache.tables[at].table;
        table.check_row(&values)?;
        let key = values[..table.key_columns].to_vec();
        self.change(at, key, Some(values));
        Ok(())
    }

    /// Deletes the row of a key; nothing where there is none.
    ///
    /// # Errors
    /// As for [`View::get`].
    pub fn delete(&mut self, table: &str, key: impl IntoValues) -> Result<(), Error> {
        let at = self.table(table)?;
        let key = key.into_values();
        whole_key(&self.cache.tables[at].table, &key)?;
        self.change(at, key, None);
        Ok(())
    }

    /// A page of rows. Rows that were put before are among them.
    ///
    /// Sorting or selecting by what has no index looks at all rows; indexes are made only once the
    /// view has caught up, so a projection selects by the beginning of the key.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where there is no such table, or the query does
    /// not fit it.
    pub fn scan(&mut self, table: &str, query: &RowQuery) -> Result<Rows, Error> {
        let at = self.table(table)?;
        let written = self.cache.write(self.writer);
        written.map_err(|error| self.failed(error))?;
        let table = Arc::clone(&self.cache.tables[at].table);
        let page = self.writer.rows(&table, query);
        let page = page.map_err(|error| self.failed(error))?;
        Ok(Rows::new(&table, page))
    }

    /// Makes a table where there is none of the name: for one that only an event can tell of.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where the table is not well formed, or was
    /// declared otherwise.
    pub fn declare(&mut self, table: &Table) -> Result<(), Error> {
        let mut known = self.cache.tables.iter();
        match known.find(|cached| cached.table.name == table.name) {
            Some(cached) if *cached.table == *table => Ok(()),
            Some(_) => {
                let reason = format!("{} was declared otherwise", table.name);
                Err(Error::invalid("table", reason))
            }
            None => {
                let declared = self.writer.declare(table);
                declared.map_err(|error| self.failed(error))?;
                self.cache.add(table.clone());
                Ok(())
            }
        }
    }

    fn change(&mut self, at: usize, key: Vec<Value>, values: Option<Vec<Value>>) {
        let (key, values) = detached(key, values);
        let cached = &mut self.cache.tables[at];
        self.cache.bytes += bytes_of_row(&key, values.as_deref());
        match cached.rows.get_mut(&*key) {
            Some(row) => {
                // A row may grow each time that it is put.
                self.cache.bytes -= bytes_of_row(&key, row.values.as_deref());
                row.values = values;
                if !row.is_changed {
                    row.is_changed = true;
                    cached.changed.push(key.into());
                }
            }
            None => {
                let key: Box<[Value]> = key.into();
                cached.changed.push(key.clone());
                let row = CachedRow {
                    values,
                    is_changed: true,
                };
                cached.rows.insert(key, row);
            }
        }
    }

    fn table(&self, name: &str) -> Result<usize, Error> {
        let mut tables = self.cache.tables.iter();
        let found = tables.position(|cached| cached.table.name == name);
        found.ok_or_else(|| {
            let reason = format!("{name} is no table of this projection");
            Error::invalid("table", reason)
        })
    }

    /// Notes what is the store's trouble and not the event's.
    fn failed(&mut self, error: Error) -> Error {
        if !matches!(error, Error::Invalid { .. } | Error::NotFound { .. }) {
            self.trouble = Some(error.clone());
        }
        error
    }
}

fn whole_key(table: &Table, key: &[Value]) -> Result<(), Error> {
    table.check_key(key)?;
    match key.len() == table.key_columns {
        true => Ok(()),
        false => {
            let reason = format!("of {} has {} columns", table.name, table.key_columns);
            Err(Error::invalid("key", reason))
        }
    }
}

/// The same with texts in one buffer of their own: those of an event are parts of what was read with
/// it, which a row in memory would keep there.
fn detached(key: Vec<Value>, values: Option<Vec<Value>>) -> (Vec<Value>, Option<Vec<Value>>) {
    let all = || key.iter().chain(values.iter().flatten());
    let texts = || all().filter_map(Value::as_text);
    let mut buffer = String::with_capacity(texts().map(|text| text.len()).sum());
    for text in texts() {
        buffer.push_str(text);
    }
    let buffer = Text::from(buffer);
    let mut at = 0;
    let mut moved = |value: Value| match value {
        Value::Text(text) => {
            let part = &buffer[at..at + text.len()];
            at += text.len();
            Value::Text(buffer.slice_ref(part))
        }
        other => other,
    };
    let key = key.into_iter().map(&mut moved).collect();
    let values = values.map(|values| values.into_iter().map(&mut moved).collect());
    (key, values)
}

fn bytes_of_row(key: &[Value], values: Option<&[Value]>) -> usize {
    bytes_of(key) + values.map_or(0, bytes_of) + ROW_OVERHEAD
}

fn bytes_of(values: &[Value]) -> usize {
    values.iter().map(Value::bytes).sum()
}

#[cfg(test)]
mod tests {
    use retold_core::{ColumnType, ViewId, ViewStore};
    use retold_memory::MemoryViews;

    use super::*;

    #[test]
    fn memory_is_counted_for_rows_that_grow_shrink_or_are_not_there() {
        let table = Table::new("rows")
            .key("name", ColumnType::Text)
            .column("text", ColumnType::Text);
        let id = ViewId {
            name: "view".into(),
            version: "1".into(),
        };
        let mut writer = MemoryViews::new().open(&id).unwrap();
        writer.declare(&table).unwrap();
        let mut cache = Cache::new(vec![table]);
        let mut view = View {
            writer: &mut *writer,
            cache: &mut cache,
            trouble: None,
        };
        assert_eq!(view.get("rows", "none").unwrap(), None);
        let after_miss = view.cache.bytes();
        assert!(after_miss > 0);
        view.put("rows", ("one", "x".repeat(100_000))).unwrap();
        let large = view.cache.bytes();
        assert!(large > after_miss + 100_000);
        view.put("rows", ("one", "x".repeat(200_000))).unwrap();
        assert_eq!(view.cache.bytes(), large + 100_000);
        view.delete("rows", "one").unwrap();
        assert!(view.cache.bytes() < after_miss + 1_000);
    }
}
