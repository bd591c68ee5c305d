//! Opens the file with the settings that every connection to it needs.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::Failure;
use crate::schema;

/// How long a call waits for another process that writes to the file. Transactions are short,
/// so whoever holds the file longer is stuck.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Milliseconds between two attempts to switch the journal mode.
const WAL_RETRY_MS: u64 = 5;

/// Opens the file, makes it if there is none, and brings its schema up to date.
pub(crate) fn open(path: &Path) -> Result<Connection, Failure> {
    // Without SQLITE_OPEN_URI: a path that begins with `file:` is a path.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Before anything is written, the journal mode included: the file may not be ours.
    schema::steps_taken(&connection, path)?;
    enter_wal(&connection)?;
    // A commit is synced only when the WAL is folded back, so that the syncs of this file do
    // not slow those of the log. What a power cut takes is derived again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    schema::migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens the side store's file, which exists, and changes nothing about it.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, Failure> {
    let connection = open_without_change(path)?;
    schema::require_newest(&connection, path)?;
    Ok(connection)
}

/// Opens a file that exists, and changes nothing about it.
pub(crate) fn open_without_change(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    // Without a WAL nobody has it open, and then SQLite must not want to make one: the folder
    // may be somebody's evidence, or on a medium that cannot be written.
    let connection = match Path::new(&wal).exists() {
        true => Connection::open_with_flags(path, flags)?,
        false => {
            let name = format!("file:{}?immutable=1", escaped(path));
            Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI)?
        }
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// A path as a part of a URI, in which three characters mean something.
fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23")
}

/// Switches to WAL, in which a reader and the writer do not wait for each other.
pub(crate) fn enter_wal(connection: &Connection) -> Result<(), Failure> {
    let give_up = Instant::now() + BUSY_TIMEOUT;
    loop {
        // The switch does not use the busy timeout when two connections attempt it at once.
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < give_up =>
            {
                std::thread::sleep(Duration::from_millis(WAL_RETRY_MS));
            }
            outcome => return Ok(outcome?),
        }
    }
}
