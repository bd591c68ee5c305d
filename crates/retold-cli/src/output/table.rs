//! Tables for people. Whatever was stored is shown, never obeyed: control characters are
//! escaped, since a terminal acts on them.

use comfy_table::{ContentArrangement, presets};
use serde_json::Value;

const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Characters of one cell: a long payload is cut, which `--json` does not do.
const CELL_CHARS_MAX: usize = 120;

/// Rows under headings.
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Table {
        Table {
            headings: headings.iter().map(|text| text.to_string()).collect(),
            rows: Vec::new(),
        }
    }

    /// A table of names and values, without headings.
    pub(crate) fn of_fields(fields: Vec<(String, String)>) -> Table {
        let mut table = Table::new(&[]);
        for (name, value) in fields {
            table.push(vec![name, value]);
        }
        table
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn render(&self, is_coloured: bool) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        if !self.headings.is_empty() {
            table.set_header(&self.headings);
        }
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| cut(&clean(cell))));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let text = table.to_string();
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        if is_coloured
            && !self.headings.is_empty()
            && let Some(first) = lines.first_mut()
        {
            *first = format!("{BOLD}{first}{PLAIN}");
        }
        lines.join("\n")
    }
}

/// The scalar fields of an object, with readable names; nested ones are shown by whoever asked.
pub(crate) fn fields(object: &Value) -> Vec<(String, String)> {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(_, value)| !value.is_array() && !value.is_object())
        .map(|(name, value)| (name.clone(), shown(value)))
        .collect()
}

/// A value as a person reads it: text without quotes, nothing as a dash.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number with the noun that it counts, in English's two forms.
pub(crate) fn counted(number: u64, one: &str, several: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {several}"),
    }
}

/// Text with its control characters escaped.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // Marks that turn the direction of the text around could disguise it.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                cleaned.extend(character.escape_unicode());
            }
            _ if character.is_control() => cleaned.extend(character.escape_default()),
            _ => cleaned.push(character),
        }
    }
    cleaned
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CELL_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        assert_eq!(clean("a\x1b[2Jb\n\u{202e}"), "a\\u{1b}[2Jb\\n\\u{202e}");
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let mut table = Table::new(&["ID", "STATUS"]);
        table.push(vec!["a-long-id".into(), "TODO".into()]);
        assert_eq!(table.render(false), "ID         STATUS\na-long-id  TODO");
    }
}
