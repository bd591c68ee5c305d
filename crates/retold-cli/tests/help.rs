//! What a person reads who asks for help.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use support::{run, text};

fn help(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn help_teaches_with_examples() {
    insta::assert_snapshot!(help(&["--help"]));
}

#[test]
fn help_of_every_command_has_examples() {
    for command in [
        "serve",
        "demo",
        "append",
        "transition",
        "state",
        "events",
        "streams",
        "snapshots",
        "machines",
        "consumers",
        "projections",
        "trace",
        "secrets",
        "import",
        "export",
        "stats",
        "verify",
        "recover",
        "index",
        "torture",
        "completions",
    ] {
        let text = help(&[command, "--help"]);
        assert!(text.contains("Examples:"), "{command}: {text}");
        insta::assert_snapshot!(format!("help_{command}"), text);
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(
            help(&["completions", shell]).contains("transition"),
            "{shell}"
        );
    }
}
