//! The settings of the terminal before the shell changed them.

use std::io::Write;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// Tells the terminal not to mark what is pasted.
const NO_PASTE_MARKS: &str = "\x1b[?2004l";

/// Settings of the terminal that is standard input.
#[derive(Clone, Debug)]
pub struct Terminal {
    settings: Option<Termios>,
}

impl Terminal {
    /// Remembers the settings as they are now.
    pub fn remember() -> Terminal {
        Terminal { settings: tcgetattr(std::io::stdin()).ok() }
    }

    /// Sets them so again.
    pub fn restore(&self) {
        let Some(settings) = &self.settings else { return };
        let mut stdout = std::io::stdout();
        // A terminal that is gone needs none of this.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, settings);
        let _ = writeln!(stdout, "{NO_PASTE_MARKS}").and_then(|()| stdout.flush());
    }
}
