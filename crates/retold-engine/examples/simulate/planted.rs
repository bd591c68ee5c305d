//! Plants one bug after the other and says how many seeds it took to find each.

use std::process::ExitCode;
use std::thread;

use retold_engine::simulator::{Bug, Settings, run};

/// Seeds within which every bug must be found.
const SEEDS_MAX: u64 = 3_000;

/// Plants those bugs whose names begin with `name`.
pub(crate) fn run_all(from: u64, jobs: usize, name: &str) -> ExitCode {
    let chosen = |bug: &&Bug| {
        format!("{bug:?}")
            .to_lowercase()
            .starts_with(&name.to_lowercase())
    };
    let bugs: Vec<Bug> = Bug::ALL.iter().filter(chosen).copied().collect();
    let mut found = 0;
    for part in bugs.chunks(jobs) {
        let hunts: Vec<_> = part
            .iter()
            .map(|bug| {
                let bug = *bug;
                thread::spawn(move || hunt(bug, from))
            })
            .collect();
        for (bug, hunt) in part.iter().zip(hunts) {
            let name = format!("{bug:?}");
            match hunt.join().expect("what panics in a seed is caught") {
                Some((seeds, what)) => {
                    found += 1;
                    println!("{name:<24} found after {seeds:>5} seeds: {}", bug.label());
                    println!("{:<24}   by: {}", "", shortened(&what));
                }
                None => println!("{name:<24} NOT FOUND in {SEEDS_MAX} seeds: {}", bug.label()),
            }
        }
    }
    println!("\n{found} of {} planted bugs found", bugs.len());
    match found == bugs.len() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn hunt(bug: Bug, from: u64) -> Option<(u64, String)> {
    let settings = Settings {
        planted: Some(bug),
        ..Settings::default()
    };
    (0..SEEDS_MAX).find_map(|nth| {
        let outcome = run(from.wrapping_add(nth), settings);
        outcome.err().map(|what| (nth + 1, what))
    })
}

fn shortened(what: &str) -> String {
    const CHARACTERS_MAX: usize = 140;
    let line = what.lines().collect::<Vec<_>>().join(" ");
    line.chars().take(CHARACTERS_MAX).collect()
}
