//! Backslash commands: what they are called, and reading one.

use windrow_common::{Error, Result};

/// A backslash command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backslash {
    /// Describes this table.
    Describe(String),
    /// Lists tables and views.
    Tables,
    /// Whether times are told; none turns it round.
    Timing(Option<bool>),
    /// How rows are laid out; none goes on to the next.
    Expanded(Option<Expanded>),
    /// Rows go into this file from now on; none is back to the screen.
    Output(Option<String>),
    /// Runs a file.
    Include(String),
    /// Ends the shell.
    Quit,
    /// Says what there is.
    Help,
}

/// When rows are printed one below the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expanded {
    /// Always.
    On,
    /// Never; columns without room are left out and counted.
    Off,
    /// When a table has no room for all columns.
    #[default]
    Auto,
}

/// The commands: name, argument, what it does.
pub const COMMANDS: [(&str, &str, &str); 8] = [
    ("\\d", "[TABLE]", "the columns of a table or view; all tables and views"),
    ("\\dt", "", "tables and views"),
    ("\\i", "FILE", "runs the statements of a file"),
    ("\\o", "[FILE]", "writes rows to a file (.csv, .json, else a table); without FILE, to the screen again"),
    ("\\q", "", "ends the shell, as Ctrl-D does"),
    ("\\timing", "[on|off]", "whether times are told"),
    ("\\x", "[on|off|auto]", "prints each column on its own line: always, never, when a table has no room"),
    ("\\?", "", "this list"),
];

impl Backslash {
    /// Reads a line that begins with a backslash.
    pub fn parse(line: &str) -> Result<Backslash> {
        // `\d+` and a semicolon at the end are habits from other shells.
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let file = || file_name(argument.trim(), std::env::var("HOME").ok().as_deref());
        let argument = unquoted(argument.trim());
        match name {
            "\\d" | "\\d+" if argument.is_empty() => Ok(Backslash::Tables),
            "\\d" | "\\d+" => Ok(Backslash::Describe(argument)),
            "\\dt" | "\\dt+" => none(name, &argument, Backslash::Tables),
            "\\timing" => Ok(Backslash::Timing(match argument.as_str() {
                "" => None,
                "on" => Some(true),
                "off" => Some(false),
                other => return Err(wrong(name, other, "on or off")),
            })),
            "\\x" => Ok(Backslash::Expanded(match argument.as_str() {
                "" => None,
                "on" => Some(Expanded::On),
                "off" => Some(Expanded::Off),
                "auto" => Some(Expanded::Auto),
                other => return Err(wrong(name, other, "on, off or auto")),
            })),
            "\\o" => Ok(Backslash::Output((!argument.is_empty()).then(file))),
            "\\i" if argument.is_empty() => Err(Error::user("\\i needs the name of a file")),
            "\\i" => Ok(Backslash::Include(file())),
            "\\q" => none(name, &argument, Backslash::Quit),
            "\\?" | "\\h" | "\\help" => Ok(Backslash::Help),
            _ => {
                let names: Vec<&str> = COMMANDS.iter().map(|(name, ..)| *name).collect();
                Err(Error::user(format!("there is no command {name}; there are {} (\\? says more)", names.join(" "))))
            }
        }
    }
}

impl Expanded {
    /// What `\x` without an argument goes on to.
    pub fn next(self) -> Expanded {
        match self {
            Expanded::On => Expanded::Off,
            Expanded::Off | Expanded::Auto => Expanded::On,
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Expanded::On => "on",
            Expanded::Off => "off",
            Expanded::Auto => "auto",
        }
    }
}

/// The list of commands.
pub fn help() -> String {
    let mut text =
        String::from("Statements end with a semicolon and may take several lines. Commands take one line:\n");
    for (name, argument, what) in COMMANDS {
        text.push_str(&format!("  {:<18} {what}\n", format!("{name} {argument}")));
    }
    text.push_str(
        "Tab completes, the arrow keys and Ctrl-R go through what was typed before, Ctrl-C cancels, Ctrl-D ends.",
    );
    text
}

fn none(name: &str, argument: &str, command: Backslash) -> Result<Backslash> {
    if argument.is_empty() { Ok(command) } else { Err(wrong(name, argument, "nothing")) }
}

fn wrong(name: &str, argument: &str, expected: &str) -> Error {
    Error::user(format!("{name} takes {expected}, not '{argument}'"))
}

/// The file that is meant. In quotes it is taken as it stands; otherwise a backslash takes what is special from the
/// character behind it, as completion writes it, and `~/` is the home directory.
fn file_name(written: &str, home: Option<&str>) -> String {
    let inner = unquoted(written);
    if inner != written {
        return inner;
    }
    let (mut name, mut rest) = (String::new(), written);
    if let (Some(behind), Some(home)) = (written.strip_prefix("~/"), home) {
        name = format!("{}/", home.trim_end_matches('/'));
        rest = behind;
    }
    let mut characters = rest.chars();
    while let Some(c) = characters.next() {
        let meant = if c == '\\' { characters.next().unwrap_or(c) } else { c };
        name.push(meant);
    }
    name
}

/// File names may be quoted; quoted table names stay so, for quotes mean something there.
fn unquoted(argument: &str) -> String {
    let inner = argument.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.unwrap_or(argument).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        for (line, command) in [
            ("\\d", Backslash::Tables),
            ("\\d lineitem", Backslash::Describe("lineitem".to_owned())),
            ("\\d  s.\"T t\" ;", Backslash::Describe("s.\"T t\"".to_owned())),
            ("\\dt;", Backslash::Tables),
            ("\\timing", Backslash::Timing(None)),
            ("\\timing off", Backslash::Timing(Some(false))),
            ("\\x auto", Backslash::Expanded(Some(Expanded::Auto))),
            ("\\o", Backslash::Output(None)),
            ("\\o 'my rows.csv'", Backslash::Output(Some("my rows.csv".to_owned()))),
            ("\\i a.sql", Backslash::Include("a.sql".to_owned())),
            ("\\q", Backslash::Quit),
            ("\\?", Backslash::Help),
        ] {
            assert_eq!(Backslash::parse(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn a_file_is_named_as_completion_writes_it() {
        for (written, name) in [
            ("a.sql", "a.sql"),
            ("my\\ rows.csv", "my rows.csv"),
            ("~/my\\ rows.csv", "/me/my rows.csv"),
            ("'~/my\\ rows.csv'", "~/my\\ rows.csv"),
            ("a~/b", "a~/b"),
            ("a\\", "a\\"),
        ] {
            assert_eq!(file_name(written, Some("/me")), name, "{written}");
        }
        assert_eq!(file_name("~/a", None), "~/a");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_there_is() {
        for (line, text) in [
            ("\\foo", "there is no command \\foo; there are \\d \\dt \\i \\o \\q \\timing \\x \\?"),
            ("\\", "there is no command \\;"),
            ("\\timing maybe", "\\timing takes on or off, not 'maybe'"),
            ("\\x 3", "on, off or auto"),
            ("\\q now", "nothing"),
            ("\\i", "needs the name of a file"),
        ] {
            let error = Backslash::parse(line).unwrap_err();
            assert!(error.message.contains(text), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_names_every_command() {
        assert!(COMMANDS.iter().all(|(name, _, what)| help().contains(name) && help().contains(what)));
        assert!(
            COMMANDS
                .iter()
                .all(|(name, ..)| !matches!(Backslash::parse(name), Err(e) if e.message.contains("no command")))
        );
    }
}
