//! A terminal in which a test types and looks: a tmux server of its own, without the settings of whoever runs the test.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// Set where a missing tmux must be noticed.
const REQUIRED: &str = "WINDROW_TESTS_NEED_TMUX";
/// How often the screen is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// No status line.
const SETTINGS: &str = "set -g status off\nset -g default-terminal screen-256color\n";
/// Runs a program, says how it has ended, and goes on as a shell. tmux itself now and then misses the end of a program.
/// Ctrl-C reaches the wrapper too, which must outlive it.
const WRAPPER: &str = "trap : INT; PS1='$ '; \"$@\"; echo \"ended with $?\"; exec sh";
/// Before the exit code, when a program has ended.
const ENDED: &str = "ended with ";

/// Whether there is a terminal for the test; says so if there is none.
pub fn is_there() -> bool {
    let there = Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success());
    if !there {
        assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and there is no tmux");
        eprintln!("skipped, because tmux is missing");
    }
    there
}

/// A terminal and the program in it. Dropped, both end.
pub struct Terminal {
    socket: String,
    directory: TempDir,
}

impl Terminal {
    /// Starts a program in a terminal of this size; `{dir}` in the arguments is a directory of its own.
    pub fn start(columns: u32, lines: u32, program: &[&str]) -> Terminal {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        // In the system's own place, for the path of a socket must be short.
        let directory = tempfile::tempdir().unwrap();
        let terminal = Terminal { socket: format!("windrow-test-{}-{number}", std::process::id()), directory };
        let settings = terminal.path().join("tmux.conf");
        std::fs::write(&settings, SETTINGS).unwrap();
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let mut arguments = vec!["-f", settings.to_str().unwrap(), "new-session", "-d", "-x", &columns, "-y", &lines];
        let home = terminal.path().to_str().unwrap().to_owned();
        let program: Vec<String> = program.iter().map(|argument| argument.replace("{dir}", &home)).collect();
        arguments.extend(["sh", "-c", WRAPPER, "sh"]);
        arguments.extend(program.iter().map(String::as_str));
        terminal.tmux(&arguments);
        terminal
    }

    /// Its own directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Types this text.
    pub fn type_text(&self, text: &str) {
        // A semicolon at the end of an argument divides tmux's own commands.
        let text = text.strip_suffix(';').map_or(text.to_owned(), |rest| format!("{rest}\\;"));
        self.tmux(&["send-keys", "-l", &text]);
    }

    /// Types this text and Enter.
    pub fn enter(&self, text: &str) {
        self.type_text(text);
        self.key("Enter");
    }

    /// Presses a key by its tmux name: `C-c`, `Tab`, `Up`.
    pub fn key(&self, name: &str) {
        self.tmux(&["send-keys", name]);
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// What is on the screen, with its colours.
    pub fn coloured_screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until the screen is as wanted, and gives it.
    pub async fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut looks = tokio::time::interval(LOOK);
        let mut last = String::new();
        let seen = async {
            loop {
                looks.tick().await;
                last = self.screen();
                if wanted(&last) {
                    return;
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), seen).await.is_err() {
            panic!("not seen: {what}; the screen:\n{}", self.screen());
        }
        last
    }

    /// Waits until this text is on the screen, and gives the screen.
    pub async fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text)).await
    }

    /// Waits until the last line on the screen is this one.
    pub async fn wait_for_last(&self, line: &str) -> String {
        self.wait_until(line, |screen| screen.trim_end().lines().next_back().map(str::trim_end) == Some(line)).await
    }

    /// Waits for the end of the program; gives its exit code. A shell has its place then.
    pub async fn wait_for_end(&self) -> i32 {
        let is_end = |screen: &str| screen.lines().any(|line| line.starts_with(ENDED));
        let screen = self.wait_until("the end of the program", is_end).await;
        let code = screen.lines().find_map(|line| line.strip_prefix(ENDED));
        code.unwrap().trim().parse().unwrap()
    }

    /// The process id of the program, while it runs.
    pub fn pid(&self) -> u32 {
        let wrapper = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let wrapper = wrapper.trim();
        let children = std::fs::read_to_string(format!("/proc/{wrapper}/task/{wrapper}/children")).unwrap();
        children.trim().parse().unwrap()
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.try_tmux(arguments);
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn try_tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket]).args(arguments).env_remove("TMUX").env("TMUX_TMPDIR", self.path());
        command.env("LC_ALL", "C.UTF-8").output().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.try_tmux(&["kill-server"]);
    }
}
