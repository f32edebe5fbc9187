//! Whether rows need a pager, and which.

use console::{measure_text_width, strip_ansi_codes};

/// Lines of the screen that are left to the prompt.
const LEFT_TO_THE_PROMPT: usize = 2;

/// The size of the screen, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub lines: usize,
    /// Characters a line.
    pub columns: usize,
}

impl Size {
    /// The size of the screen that standard output is.
    pub fn of_screen() -> Size {
        let size = console::Term::stdout().size_checked();
        size.map_or(Size { lines: 24, columns: 80 }, |(lines, columns)| Size {
            lines: lines.into(),
            columns: columns.into(),
        })
    }

    /// Whether this text and a prompt fit on the screen.
    pub fn holds(self, text: &str) -> bool {
        // What has more lines than this does not fit however short they are; the widths need not be measured.
        let room = self.lines.saturating_sub(LEFT_TO_THE_PROMPT);
        text.lines().take(room + 1).map(|line| self.lines_of(line)).sum::<usize>() <= room
    }

    fn lines_of(self, line: &str) -> usize {
        measure_text_width(&strip_ansi_codes(line)).div_ceil(self.columns.max(1)).max(1)
    }
}

/// A program that shows long text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pager {
    /// For the system's shell.
    pub command: String,
    /// Whether it understands colours.
    pub colours: bool,
}

/// What a pager of our own choice is told unless the person has settings of their own: long lines are not folded.
pub const LESS: &str = "SR";

impl Pager {
    /// The one to use: `$PAGER`; if that is not set `less`, if there is one. None if `$PAGER` is empty.
    pub fn of_environment() -> Option<Pager> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has_less = || std::env::split_paths(&path).any(|directory| directory.join("less").is_file());
        Pager::choose(std::env::var("PAGER").ok(), has_less)
    }

    fn choose(pager: Option<String>, has_less: impl FnOnce() -> bool) -> Option<Pager> {
        match pager {
            Some(command) if command.trim().is_empty() => None,
            Some(command) => {
                let program = command.split_whitespace().next().unwrap_or_default();
                let colours = matches!(program.rsplit('/').next(), Some("less" | "more" | "cat"));
                Some(Pager { command, colours })
            }
            None => has_less().then(|| Pager { command: "less -SR".to_owned(), colours: true }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_paged_when_it_and_the_prompt_do_not_fit() {
        let size = Size { lines: 10, columns: 20 };
        let lines = |count: usize, width: usize| format!("{}\n", "x".repeat(width)).repeat(count);
        for (count, width, fits) in
            [(0, 0, true), (8, 5, true), (9, 5, false), (8, 20, true), (4, 21, true), (5, 21, false), (8, 0, true)]
        {
            assert_eq!(size.holds(&lines(count, width)), fits, "{count} lines of {width}");
        }
        assert!(size.holds(&"\u{1b}[2mNULL NULL NULL\u{1b}[0m\n".repeat(8)), "colours have no width");
        assert!(!Size { lines: 1, columns: 0 }.holds("x\n"));
    }

    #[test]
    fn the_pager_is_the_persons_own_or_less() {
        let choose = |pager: Option<&str>, has_less| Pager::choose(pager.map(str::to_owned), || has_less);
        let pager = |command: &str, colours| Some(Pager { command: command.to_owned(), colours });
        assert_eq!(choose(None, true), pager("less -SR", true));
        assert_eq!(choose(None, false), None);
        assert_eq!(choose(Some(" "), true), None);
        assert_eq!(choose(Some("/usr/bin/less -X"), false), pager("/usr/bin/less -X", true));
        assert_eq!(choose(Some("nl"), true), pager("nl", false));
    }
}
