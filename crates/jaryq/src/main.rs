//! jaryq
fn main() {}
