//! Runs the binary.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;

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
    bounded(arguments).output().unwrap()
}

/// The same, with what is temporary in this directory.
pub fn windrow_in(temporary: &Path, arguments: &[&str]) -> Output {
    bounded(arguments).env("TMPDIR", temporary).output().unwrap()
}

/// The same with these variables in its environment.
pub fn windrow_with(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    bounded(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn bounded(arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args([PATIENCE, env!("CARGO_BIN_EXE_windrow")]).args(arguments);
    command.stdin(Stdio::null()).env_remove("WINDROW_LOG");
    command
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
        Running::of(&mut command(arguments))
    }

    /// Starts what [`command`] has made.
    pub fn of(command: &mut Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
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

/// TPC-H data at a small scale, made by the binary itself.
pub fn small_data() -> &'static str {
    static DATA: OnceLock<String> = OnceLock::new();
    DATA.get_or_init(|| data("0.01"))
}

/// TPC-H data at the usual scale of the tests.
pub fn tpch_data() -> &'static str {
    static DATA: OnceLock<String> = OnceLock::new();
    DATA.get_or_init(|| data("0.1"))
}

/// TPC-H data at this scale, in a directory that the next run of the tests uses again. The generator finds out by itself
/// whether it is there and whole; the same scale always gives the same bytes.
pub fn data(scale: &str) -> String {
    let path = format!("{}/tpch-{scale}", env!("CARGO_TARGET_TMPDIR"));
    assert_code(&windrow(&["tpch", "generate", "--scale", scale, "--output", &path]), 0);
    path
}
