//! A row, read and written by the names of its columns; and what a row or a key is made of.

use std::sync::Arc;

use retold_core::{Error, Table, Text, Value};

/// A row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    table: Arc<Table>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(table: Arc<Table>, values: Vec<Value>) -> Row {
        Row { table, values }
    }

    /// The table that it is a row of.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The values in the order of the columns.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// What a column holds.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where there is no such column.
    pub fn value(&self, column: &str) -> Result<&Value, Error> {
        Ok(&self.values[self.column(column)?])
    }

    /// The whole number in a column.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where there is something else, or nothing.
    pub fn integer(&self, column: &str) -> Result<i64, Error> {
        let found = self.value(column)?.as_integer();
        found.ok_or_else(|| self.holds_no("a whole number", column))
    }

    /// The number in a column.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where there is something else, or nothing.
    pub fn real(&self, column: &str) -> Result<f64, Error> {
        let found = self.value(column)?.as_real();
        found.ok_or_else(|| self.holds_no("a number", column))
    }

    /// The text in a column.
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where there is something else, or nothing.
    pub fn text(&self, column: &str) -> Result<&Text, Error> {
        let found = self.value(column)?.as_text();
        found.ok_or_else(|| self.holds_no("a text", column))
    }

    /// Puts something else into a column; the row is kept when it is [put](super::View::put).
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) where there is no such column.
    pub fn set(&mut self, column: &str, value: impl Into<Value>) -> Result<(), Error> {
        let at = self.column(column)?;
        self.values[at] = value.into();
        Ok(())
    }

    fn column(&self, column: &str) -> Result<usize, Error> {
        self.table.position_of(column).ok_or_else(|| {
            let reason = format!("{column} is no column of {}", self.table.name);
            Error::invalid("column", reason)
        })
    }

    fn holds_no(&self, what: &str, column: &str) -> Error {
        let reason = format!("{column} of {} holds no {what}", self.table.name);
        Error::invalid("column", reason)
    }
}

/// What a key or a row is given as: one value, several in a tuple, a list of them, or a [`Row`].
pub trait IntoValues {
    /// The values in the order of the columns.
    fn into_values(self) -> Vec<Value>;
}

impl IntoValues for Row {
    fn into_values(self) -> Vec<Value> {
        self.values
    }
}

impl IntoValues for Vec<Value> {
    fn into_values(self) -> Vec<Value> {
        self
    }
}

impl<const N: usize> IntoValues for [Value; N] {
    fn into_values(self) -> Vec<Value> {
        self.into()
    }
}

macro_rules! one_value {
    ($($kind:ty),+) => {
        $(impl IntoValues for $kind {
            fn into_values(self) -> Vec<Value> {
                vec![self.into()]
            }
        })+
    };
}

one_value!(&str, String, Text, &Text, i64, i32, u32, u64);

macro_rules! several_values {
    ($($name:ident),+) => {
        impl<$($name: Into<Value>),+> IntoValues for ($($name,)+) {
            fn into_values(self) -> Vec<Value> {
                #[allow(non_snake_case, reason = "named after their types")]
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    };
}

several_values!(A);
several_values!(A, B);
several_values!(A, B, C);
several_values!(A, B, C, D);
several_values!(A, B, C, D, E);
several_values!(A, B, C, D, E, F);
several_values!(A, B, C, D, E, F, G);
several_values!(A, B, C, D, E, F, G, H);
