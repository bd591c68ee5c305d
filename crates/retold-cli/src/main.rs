//! The program `retold`.

// The commands that call it are not written yet.
#[allow(dead_code, unused_imports)]
mod import;

fn main() {}
