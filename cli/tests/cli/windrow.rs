//! Runs the binary.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// Seconds after which something that should have happened has not.
const PATIENCE: &str = "120";

/// The binary with these arguments, stdin closed.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windrow"));
    command.args(arguments).stdin(Stdio::null()).env_remove("WINDROW_LOG");
    command
}

/// Runs it to its end, which must come.
pub fn windrow(arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args([PATIENCE, env!("CARGO_BIN_EXE_windrow")]).args(arguments);
    command.stdin(Stdio::null()).env_remove("WINDROW_LOG").output().unwrap()
}

/// Runs it to its end with this on stdin.
pub fn windrow_with_stdin(arguments: &[&str], stdin: &str) -> Output {
    let mut command = command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asserts the exit code, and shows what was said if it is another.
pub fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {}", stdout(output), stderr(output));
}

/// A process that goes on, and the lines it prints. Killed on drop.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Running {
        let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    /// The next line it prints.
    pub fn line(&mut self) -> String {
        self.lines.next().expect("the process printed another line").unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, `TERM` for example.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Its exit code; none when a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -s {name} {pid}");
}

/// Returns when a process that is not our child has ended.
pub fn wait_until_gone(pid: u32) {
    let status =
        Command::new("timeout").args([PATIENCE, "tail", "-f", "/dev/null", "--pid", &pid.to_string()]).status();
    assert!(status.unwrap().success(), "process {pid} is still there");
}

pub fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// TPC-H data at a small scale, made once by the binary itself.
pub fn small_data() -> &'static str {
    static DATA: OnceLock<(TempDir, String)> = OnceLock::new();
    let (_, path) = DATA.get_or_init(|| {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = directory.path().join("tpch").to_str().unwrap().to_owned();
        assert_code(&windrow(&["tpch", "generate", "--scale", "0.01", "--output", &path]), 0);
        (directory, path)
    });
    path
}
