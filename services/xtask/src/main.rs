//! `cargo xtask mutants [name]`: breaks the code one rule at a time and expects
//! the experiment named beside each to notice.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["mutants"] => xtask::mutants::run(None),
        ["mutants", name] => xtask::mutants::run(Some(name)),
        _ => {
            eprintln!("usage: cargo xtask mutants [name]");
            ExitCode::from(64)
        }
    }
}
