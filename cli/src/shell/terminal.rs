//! The settings of the terminal before the shell changed them.

use std::io::Write;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// Tells the terminal not to mark what is pasted.
const NO_PASTE_MARKS: &str = "\x1b[?2004l";

/// Settings of the terminal that is standard input.
#[derive(Clone, Debug)]
pub struct Terminal {
    settings: Option<Termios>,
}

impl Terminal {
    /// Remembers the settings as they are now, and has Ctrl-C show no `^C`: that would tear the progress bar.
    pub fn take() -> Terminal {
        let settings = tcgetattr(std::io::stdin()).ok();
        if let Some(mut ours) = settings.clone() {
            ours.local_flags.remove(LocalFlags::ECHOCTL);
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &ours);
        }
        Terminal { settings }
    }

    /// Sets them so again.
    pub fn restore(&self) {
        let Some(settings) = &self.settings else { return };
        // A terminal that is gone needs none of this.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, settings);
    }

    /// Ends the line that somebody was typing when the shell was told to end.
    pub fn leave_line(&self) {
        let mut stdout = std::io::stdout();
        let _ = writeln!(stdout, "{NO_PASTE_MARKS}").and_then(|()| stdout.flush());
    }
}
