//! A worker process that this process has started, and that never outlives it: the worker stops when its stdin ends,
//! and the other end of that pipe is here.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use windrow_common::{ByteSize, Error, Result};

/// How long a worker may take to stop by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Lines of a worker's stderr that are kept for the message in case it dies.
const KEPT_LINES: usize = 20;

/// What a worker process is started with.
#[derive(Clone, Copy, Debug)]
pub struct WorkerArguments<'a> {
    /// The `windrow` binary, or one that understands the same arguments.
    pub program: &'a Path,
    /// The coordinator's URL.
    pub coordinator: &'a str,
    /// Slots.
    pub cores: u32,
    /// Budget.
    pub memory: ByteSize,
    /// Directory for spilled data.
    pub scratch: &'a Path,
    /// The file of stores.
    pub stores: Option<&'a Path>,
    /// Whether what the worker logs is shown as it comes.
    pub show_log: bool,
}

/// A worker process. Dropping it kills it.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    pid: u32,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    reader: JoinHandle<()>,
}

impl WorkerProcess {
    /// Starts a worker.
    pub fn start(arguments: WorkerArguments<'_>) -> Result<WorkerProcess> {
        let failed = |error: std::io::Error| {
            Error::io(format!("cannot start a worker process ('{}'): {error}", arguments.program.display()))
        };
        let mut child = Command::new(arguments.program)
            .args(["worker", "--exit-with-parent", "--coordinator", arguments.coordinator])
            .args(["--cores", &arguments.cores.to_string(), "--memory", &arguments.memory.0.to_string()])
            .arg("--scratch")
            .arg(arguments.scratch)
            .args(arguments.stores.into_iter().flat_map(|file| [OsStr::new("--stores"), file.as_os_str()]))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C goes to every process of the terminal's group; a worker is stopped by us alone, in good order.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().ok_or_else(|| Error::internal("a process that was just started has no id"))?;
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let stderr = child.stderr.take();
        let reader = tokio::spawn(read_log(stderr, pid, last_lines.clone(), arguments.show_log));
        Ok(WorkerProcess { child, pid, last_lines, reader })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The error for a worker that ended when it should not, with what it said last.
    pub async fn died(&mut self, status: ExitStatus) -> Error {
        // The last lines may still be in the pipe; it ends with the process.
        let _ = tokio::time::timeout(Duration::from_secs(1), &mut self.reader).await;
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        let said = match lines.is_empty() {
            true => "it said nothing".to_owned(),
            false => format!("it said:\n  {}", lines.iter().cloned().collect::<Vec<_>>().join("\n  ")),
        };
        Error::unavailable(format!("worker process {} ended ({status}); {said}", self.pid))
    }

    /// Asks it to stop, by closing its stdin.
    pub fn ask_to_stop(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until it has stopped; kills it if it takes too long. Nothing is left of it afterwards.
    pub async fn stopped(mut self) {
        self.ask_to_stop();
        if tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            tracing::warn!(pid = self.pid, "a worker did not stop and is killed");
            if let Err(error) = self.child.kill().await {
                tracing::warn!(pid = self.pid, %error, "a worker could not be killed");
            }
        }
        self.reader.abort();
    }
}

async fn read_log(stderr: Option<ChildStderr>, pid: u32, kept: Arc<Mutex<VecDeque<String>>>, show: bool) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if show {
            crate::stderr::tell(&format!("[worker {pid}] {line}"));
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}
