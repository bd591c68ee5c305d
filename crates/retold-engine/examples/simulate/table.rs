//! What a run met, as a table: a fault or a branch that never came up was not tested.

use retold_engine::simulator::Report;

/// Prints the table; false when something is zero that must not be.
pub(crate) fn print(report: &Report, must_be_complete: bool) -> bool {
    let rows = report.rows();
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut missing = Vec::new();
    for (name, count) in rows {
        println!("  {name:<widest$}  {count:>12}");
        if count == 0 {
            missing.push(name);
        }
    }
    if !must_be_complete || missing.is_empty() {
        return true;
    }
    println!("\nnever happened: {}", missing.join(", "));
    false
}
