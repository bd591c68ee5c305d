//! `retold completions`: what a shell needs to complete commands.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  retold completions bash > ~/.local/share/bash-completion/completions/retold
  retold completions fish > ~/.config/fish/completions/retold.fish
  retold completions zsh > ~/.zfunc/_retold";

/// Writes completions for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut script = Vec::new();
        let mut command = Arguments::command();
        clap_complete::generate(self.shell, &mut command, "retold", &mut script);
        output.line(script)
    }
}
