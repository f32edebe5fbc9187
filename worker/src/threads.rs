//! The threads of a worker, all made here: a small runtime for I/O, and one that polls the operators of attempts with one
//! thread for each slot. Nothing on the I/O runtime computes for long.

use windrow_common::{Error, Result, limits};

/// Threads that move bytes.
const IO_THREADS: usize = 2;

/// A worker's runtimes. Dropping them stops their threads without waiting.
#[derive(Debug)]
pub struct Threads {
    io: Option<tokio::runtime::Runtime>,
    cpu: Option<tokio::runtime::Runtime>,
}

impl Threads {
    /// Starts the threads of a worker with so many slots.
    pub fn start(slots: u32) -> Result<Self> {
        let build = |name: &str, threads: usize| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name(name)
                .thread_stack_size(limits::THREAD_STACK_BYTES)
                .enable_all()
                .build()
                .map_err(|e| Error::io(format!("cannot start threads: {e}")))
        };
        Ok(Self { io: Some(build("windrow-io", IO_THREADS)?), cpu: Some(build("windrow-cpu", slots.max(1) as usize)?) })
    }

    /// For I/O.
    pub fn io(&self) -> Option<tokio::runtime::Handle> {
        self.io.as_ref().map(|runtime| runtime.handle().clone())
    }

    /// For operators.
    pub fn cpu(&self) -> Option<tokio::runtime::Handle> {
        self.cpu.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for runtime in [self.cpu.take(), self.io.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}
