//! Views as files of their own: tables that any tool which speaks SQLite may read while the
//! service runs.

mod file;
mod reader;
mod rows;
mod writer;

use std::path::{Path, PathBuf};

use retold_core::{Error, ViewId, ViewReader, ViewStore, ViewWriter};

/// The views of a folder: a file `<name>@<version>.db` for each.
///
/// Each file is written by one process at a time and may be read by any, also by other programs.
/// A power cut may take the newest commits, rows and progress together. A file may be deleted
/// while nothing has it open, with the `-wal` and the `-shm` beside it: it is derived again.
#[derive(Debug, Clone)]
pub struct SqliteViews {
    folder: PathBuf,
    sql_views: Vec<SqlView>,
}

/// A view in SQL's own sense, over the tables of one projection.
#[derive(Debug, Clone)]
struct SqlView {
    projection: String,
    name: String,
    select: String,
}

/// What a view's file ends with.
const ENDING: &str = ".db";

impl SqliteViews {
    /// The views in a folder, which is made once there is one.
    pub fn new(folder: impl Into<PathBuf>) -> SqliteViews {
        SqliteViews {
            folder: folder.into(),
            sql_views: Vec::new(),
        }
    }

    /// Adds a view of SQL to each version of a projection, from when it has caught up: for tools
    /// that read the file. It is made anew whenever the file is opened.
    ///
    /// ```
    /// use retold_sqlite::SqliteViews;
    ///
    /// let blocked = "SELECT aggregate_id FROM streams WHERE status = 'BLOCKED'";
    /// let views = SqliteViews::new("data/views").sql_view("current_state", "blocked", blocked);
    /// # let _ = views;
    /// ```
    ///
    /// A statement that SQLite does not understand is told when the view is built, which then waits.
    #[must_use]
    pub fn sql_view(
        mut self,
        projection: impl Into<String>,
        name: impl Into<String>,
        select: impl Into<String>,
    ) -> SqliteViews {
        self.sql_views.push(SqlView {
            projection: projection.into(),
            name: name.into(),
            select: select.into(),
        });
        self
    }

    /// Where the file of a view is.
    pub fn path_of(&self, id: &ViewId) -> PathBuf {
        self.folder.join(format!("{id}{ENDING}"))
    }
}

impl ViewStore for SqliteViews {
    fn views(&self) -> Result<Vec<ViewId>, Error> {
        let failed = |error| Error::io(format!("list {}", self.folder.display()), error);
        let files = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(failed)?,
        };
        let mut views = Vec::new();
        for file in files {
            let name = file.map_err(failed)?.file_name();
            let named = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            if let Some((name, version)) = named.and_then(|name| name.split_once('@')) {
                let id = ViewId {
                    name: name.into(),
                    version: version.into(),
                };
                if id.check().is_ok() {
                    views.push(id);
                }
            }
        }
        views.sort();
        Ok(views)
    }

    fn open(&self, id: &ViewId) -> Result<Box<dyn ViewWriter>, Error> {
        id.check()?;
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| Error::io(format!("make {}", self.folder.display()), error))?;
        let path = self.path_of(id);
        let connection = file::open(&path).map_err(|failure| told(failure, "open", &path))?;
        let of_projection = |view: &&SqlView| *view.projection == *id.name;
        let sql_views = self
            .sql_views
            .iter()
            .filter(of_projection)
            .cloned()
            .collect();
        let mut writer = writer::SqliteWriter::new(path, connection, sql_views);
        if writer
            .progress()?
            .is_some_and(|progress| progress.has_caught_up)
        {
            writer.make_sql_views()?;
        }
        Ok(Box::new(writer))
    }

    fn reader(&self, id: &ViewId) -> Result<Box<dyn ViewReader>, Error> {
        id.check()?;
        let path = self.path_of(id);
        match path.exists() {
            true => Ok(Box::new(reader::SqliteReader::new(path))),
            false => Err(Error::NotFound {
                what: format!("a view {id}"),
            }),
        }
    }

    fn remove(&self, id: &ViewId) -> Result<(), Error> {
        id.check()?;
        let path = self.path_of(id);
        // The database goes last: what is left of a crash in between is still a view.
        for suffix in ["-wal", "-shm", ""] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(format!("remove {}", path.display()), error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The answer to the caller.
fn told(failure: crate::error::Failure, action: &str, path: &Path) -> Error {
    failure.into_error(&format!("{action} a view"), path)
}
