//! Asking before something is changed that is not easily changed back.

use std::io::{IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Flags of a command that changes what a deployment stands on.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfirmArgs {
    /// Change without asking
    #[arg(long, short = 'y')]
    yes: bool,
    /// Say what would be done, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}

impl ConfirmArgs {
    /// Returns when it may be done.
    ///
    /// # Errors
    /// When whoever sits at the terminal says no, or nobody does and `--yes` is missing.
    pub(crate) fn ask(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let input = std::io::stdin();
        if !input.is_terminal() {
            return Err(Failure::Usage(format!(
                "{question} Nobody can be asked here: give --yes to do it, --dry-run to look only; nothing was changed"
            )));
        }
        let mut out = std::io::stderr();
        write!(out, "{question} [y/N] ").and_then(|()| out.flush())?;
        let mut answer = String::new();
        input.read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::Check("nothing was changed".to_owned())),
        }
    }
}
