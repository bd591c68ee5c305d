//! The program `retold`.

fn main() {}
