//! Tables that are derived from the log and kept for reading: what they look like, and the traits
//! of whoever keeps them. Everything in them can be deleted and made again from the log.

mod id;
mod rows;
mod store;
mod table;
mod value;

pub use id::{ViewId, check_view_name};
pub use rows::{RowPage, RowQuery};
pub use store::{RowChange, ViewProgress, ViewReader, ViewStore, ViewWriter};
pub use table::{Column, ColumnType, Table};
pub use value::Value;

/// Bytes of a name of a view, a table or a column at most: a name is a part of a file's name.
const NAME_BYTES_MAX: usize = 64;
