//! The SQL of docs/read-models.md, each query run as it stands there.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use retold::{Retold, Transition};
use retold_sqlite::rusqlite::types::Value;
use retold_sqlite::rusqlite::{self, Connection};
use tempfile::TempDir;

const GUIDE: &str = include_str!("../../../docs/read-models.md");

/// What happens: issue, from, to, event, when, who.
const STORY: [[&str; 6]; 11] = [
    [
        "1",
        "TODO",
        "IN_PROGRESS",
        "start_work",
        "2024-03-01T08:00:00Z",
        "ada",
    ],
    [
        "1",
        "IN_PROGRESS",
        "BLOCKED",
        "block",
        "2024-03-01T10:00:00Z",
        "ada",
    ],
    [
        "1",
        "BLOCKED",
        "IN_PROGRESS",
        "unblock",
        "2024-03-01T20:00:00Z",
        "bo",
    ],
    [
        "1",
        "IN_PROGRESS",
        "IN_REVIEW",
        "submit_review",
        "2024-03-01T22:00:00Z",
        "ada",
    ],
    [
        "1",
        "IN_REVIEW",
        "MERGED",
        "merge",
        "2024-03-02T08:00:00Z",
        "bo",
    ],
    [
        "2",
        "TODO",
        "IN_PROGRESS",
        "start_work",
        "2024-03-01T08:00:00Z",
        "bo",
    ],
    [
        "2",
        "IN_PROGRESS",
        "IN_REVIEW",
        "submit_review",
        "2024-03-01T09:00:00Z",
        "bo",
    ],
    [
        "2",
        "IN_REVIEW",
        "REJECTED",
        "reject",
        "2024-03-01T10:00:00Z",
        "ada",
    ],
    [
        "2",
        "REJECTED",
        "TODO",
        "reopen",
        "2024-03-03T10:00:00Z",
        "bo",
    ],
    [
        "3",
        "TODO",
        "IN_PROGRESS",
        "start_work",
        "2024-03-01T08:00:00Z",
        "ada",
    ],
    [
        "3",
        "IN_PROGRESS",
        "BLOCKED",
        "block",
        "2024-03-01T09:00:00Z",
        "ada",
    ],
];

/// What each query of the guide comes to, in the order in which they stand there.
const ANSWERS: [&[&str]; 7] = [
    &["3|2024-03-01T09:00:00.000000Z|ada"],
    &[
        "REJECTED|1|48.0",
        "BLOCKED|1|10.0",
        "IN_REVIEW|2|5.5",
        "IN_PROGRESS|4|1.5",
    ],
    &["2|1|2024-03-03T10:00:00.000000Z"],
    &["ada|bo|1"],
    &["BLOCKED|1", "IN_REVIEW|1", "REJECTED|1"],
    &[
        "reject|reopen|1|48.0",
        "block|unblock|1|10.0",
        "submit_review|merge|1|10.0",
        "start_work|block|2|1.5",
        "unblock|submit_review|1|2.0",
        "start_work|submit_review|1|1.0",
        "submit_review|reject|1|1.0",
    ],
    &["1|5|MERGED"],
];

/// The queries, each with the file that it names.
fn queries() -> Vec<(String, String)> {
    let blocks = GUIDE.split("```sql\n").skip(1);
    let query = |block: &str| {
        let block = block.split("```").next().unwrap();
        let (file, sql) = block.split_once('\n').unwrap();
        (file.trim_start_matches("-- ").to_owned(), sql.to_owned())
    };
    blocks.map(query).collect()
}

#[tokio::test]
async fn each_query_of_the_guide_gives_what_it_says() {
    let folder = TempDir::new().unwrap();
    let builder = Retold::builder().builtin_machines().builtin_projections();
    let retold = builder.open(folder.path()).await.unwrap();
    let mut position = 0;
    for [id, from, to, event, at, actor] in STORY {
        let transition = Transition::new("Issue", id).from(from).to(to).event(event);
        let transition = transition.actor(actor).timestamp(at.parse().unwrap());
        position = retold.transition(transition).await.unwrap().event.position;
    }
    retold
        .snapshots("Issue", "1")
        .create()
        .force()
        .await
        .unwrap();
    for name in retold.projection_names() {
        retold
            .projection(name)
            .wait_through(position)
            .await
            .unwrap();
    }
    // While the handle is open, as other tools do.
    let queries = queries();
    assert_eq!(queries.len(), ANSWERS.len());
    for ((file, sql), expected) in queries.into_iter().zip(ANSWERS) {
        let database = Connection::open(folder.path().join(&file)).unwrap();
        let mut statement = database.prepare(&sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let field = |nth| {
                let value: Value = row.get(nth)?;
                Ok(match value {
                    Value::Null => String::new(),
                    Value::Integer(number) => number.to_string(),
                    Value::Real(number) => format!("{number:.1}"),
                    Value::Text(text) => text,
                    other @ Value::Blob(_) => format!("{other:?}"),
                })
            };
            let fields: Result<Vec<String>, rusqlite::Error> = (0..columns).map(field).collect();
            Ok(fields?.join("|"))
        });
        let rows: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
        let shown: Vec<&str> = match file.as_str() {
            // When a snapshot was made is now.
            "state.db" => rows
                .iter()
                .map(|row| row.rsplit_once('|').unwrap().0)
                .collect(),
            _ => rows.iter().map(String::as_str).collect(),
        };
        assert_eq!(shown, expected, "{file}: {sql}");
    }
    retold.close().await.unwrap();
}
