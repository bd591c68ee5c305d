//! Tables in Markdown, and how figures look in them.

use std::fmt;
use std::time::Duration;

/// A table that tells each row as soon as it is known.
pub(crate) struct Table {
    title: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(title: &'static str, columns: [&str; N]) -> Table {
        Table {
            title,
            rows: vec![columns.map(str::to_owned).into()],
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        eprintln!("{}", cells.join("  "));
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}\n", self.title)?;
        for (nth, row) in self.rows.iter().enumerate() {
            writeln!(f, "| {} |", row.join(" | "))?;
            if nth == 0 {
                writeln!(f, "|{}", "---|".repeat(row.len()))?;
            }
        }
        Ok(())
    }
}

/// A latency, in the unit that suits it.
pub(crate) fn shown(latency: Duration) -> String {
    if latency < Duration::from_millis(1) {
        format!("{:.0} µs", latency.as_secs_f64() * 1e6)
    } else {
        format!("{:.2} ms", latency.as_secs_f64() * 1e3)
    }
}

/// The middle of the values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new("Figures:", ["what", "how long"]);
        table.row(["a call".to_owned(), shown(Duration::from_micros(1_500))]);
        let markdown = "\nFigures:\n\n| what | how long |\n|---|---|\n| a call | 1.50 ms |\n";
        assert_eq!(table.to_string(), markdown);
    }
}
