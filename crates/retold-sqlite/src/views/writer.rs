//! Writing a view: rows and progress in one transaction.

use std::collections::HashMap;
use std::path::PathBuf;

use retold_core::{Error, RowChange, RowPage, RowQuery, Table, Value, ViewProgress, ViewWriter};
use rusqlite::Connection;

use super::rows::{self, Bound, Statements};
use super::{SqlView, file, told};
use crate::error::Failure;

/// Statements that are kept prepared: three for each table of a large view.
const PREPARED_MAX: usize = 64;

pub(super) struct SqliteWriter {
    path: PathBuf,
    connection: Connection,
    statements: HashMap<String, Statements>,
    sql_views: Vec<SqlView>,
}

impl SqliteWriter {
    pub(super) fn new(
        path: PathBuf,
        connection: Connection,
        sql_views: Vec<SqlView>,
    ) -> SqliteWriter {
        connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
        SqliteWriter {
            path,
            connection,
            statements: HashMap::new(),
            sql_views,
        }
    }

    /// Makes the views of SQL anew: their statements may have changed since.
    pub(super) fn make_sql_views(&mut self) -> Result<(), Error> {
        self.run("make a view of SQL in", |writer| {
            for SqlView { name, select, .. } in &writer.sql_views {
                let name = rows::quoted(name);
                let sql = format!("DROP VIEW IF EXISTS {name}; CREATE VIEW {name} AS {select};");
                writer.connection.execute_batch(&sql)?;
                // SQLite looks at what a view names when it is read.
                let read = format!("SELECT * FROM {name} LIMIT 0");
                writer.connection.prepare(&read)?;
            }
            Ok(())
        })
    }

    fn run<T>(
        &mut self,
        action: &str,
        work: impl FnOnce(&mut SqliteWriter) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        work(self).map_err(|failure| told(failure, action, &self.path))
    }

    /// Begins a transaction where there is none.
    fn begin(&self) -> Result<(), Failure> {
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(())
    }

    fn statements(&mut self, table: &Table) -> (&Connection, &Statements) {
        if !self.statements.contains_key(&table.name) {
            let statements = Statements::of(table);
            self.statements.insert(table.name.clone(), statements);
        }
        (&self.connection, &self.statements[&table.name])
    }
}

impl ViewWriter for SqliteWriter {
    fn progress(&mut self) -> Result<Option<ViewProgress>, Error> {
        self.run("read", |writer| file::progress(&writer.connection))
    }

    fn declare(&mut self, table: &Table) -> Result<(), Error> {
        table.check()?;
        self.run("write", |writer| {
            let tables = file::tables(&writer.connection)?;
            match tables.iter().find(|known| known.name == table.name) {
                Some(known) if known == table => Ok(()),
                Some(_) => {
                    let reason = format!("{} was declared otherwise in this view", table.name);
                    Err(Failure::Told(Error::invalid("table", reason)))
                }
                None => {
                    writer.begin()?;
                    writer.connection.execute_batch(&rows::make_table(table))?;
                    file::keep_table(&writer.connection, table)
                }
            }
        })
    }

    fn tables(&mut self) -> Result<Vec<Table>, Error> {
        self.run("read", |writer| file::tables(&writer.connection))
    }

    fn get(&mut self, table: &Table, key: &[Value]) -> Result<Option<Vec<Value>>, Error> {
        self.run("read", |writer| {
            let (connection, statements) = writer.statements(table);
            let mut statement = connection.prepare_cached(&statements.get)?;
            let key = rusqlite::params_from_iter(key.iter().map(Bound));
            let mut found = statement.query(key)?;
            let row = found.next()?;
            row.map(|row| rows::read(row, table)).transpose()
        })
    }

    fn rows(&mut self, table: &Table, query: &RowQuery) -> Result<RowPage, Error> {
        self.run("read", |writer| {
            let progress = file::progress(&writer.connection)?;
            let through = progress.map_or(0, |progress| progress.complete_through);
            rows::page(&writer.connection, table, query, through)
        })
    }

    fn write(
        &mut self,
        table: &Table,
        changes: &mut dyn Iterator<Item = RowChange<'_>>,
    ) -> Result<(), Error> {
        self.run("write", |writer| {
            writer.begin()?;
            let (connection, statements) = writer.statements(table);
            let mut put = connection.prepare_cached(&statements.put)?;
            let mut delete = connection.prepare_cached(&statements.delete)?;
            for (key, row) in changes {
                let (statement, values) = match row {
                    Some(row) => (&mut put, row),
                    None => (&mut delete, key),
                };
                statement.execute(rusqlite::params_from_iter(values.iter().map(Bound)))?;
            }
            Ok(())
        })
    }

    fn make_indexes(&mut self) -> Result<(), Error> {
        self.run("index", |writer| {
            for table in file::tables(&writer.connection)? {
                for statement in rows::make_indexes(&table) {
                    writer.connection.execute_batch(&statement)?;
                }
            }
            Ok(())
        })?;
        self.make_sql_views()
    }

    fn commit(&mut self, progress: &ViewProgress) -> Result<(), Error> {
        self.run("commit", |writer| {
            writer.begin()?;
            file::keep_progress(&writer.connection, progress)?;
            writer.connection.execute_batch("COMMIT")?;
            Ok(())
        })
    }

    fn clear(&mut self) -> Result<(), Error> {
        self.rollback()?;
        self.statements.clear();
        self.run("clear", |writer| {
            let transaction = writer.connection.transaction()?;
            for SqlView { name, .. } in &writer.sql_views {
                let sql = format!("DROP VIEW IF EXISTS {}", rows::quoted(name));
                transaction.execute_batch(&sql)?;
            }
            for table in file::tables(&transaction)? {
                transaction.execute_batch(&rows::drop_table(&table))?;
            }
            transaction.execute_batch("DELETE FROM retold_tables; DELETE FROM retold_progress")?;
            Ok(transaction.commit()?)
        })
    }

    fn rollback(&mut self) -> Result<(), Error> {
        self.run("roll back", |writer| {
            if !writer.connection.is_autocommit() {
                writer.connection.execute_batch("ROLLBACK")?;
            }
            Ok(())
        })
    }
}
