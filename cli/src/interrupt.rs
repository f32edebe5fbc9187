//! Ctrl-C and its kin.
//!
//! A command ends with the first signal: everything stops and cleans up; a second one ends the process at once. A shell
//! ends what runs with Ctrl-C, as often as it comes, and itself only with SIGTERM or SIGHUP.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use windrow_common::{Error, ErrorKind, Result};

/// Tells of signals. Clones tell of the same, and forget on their own.
#[derive(Clone, Debug)]
pub struct Interrupt {
    came: watch::Receiver<Came>,
    /// Interrupts that are forgotten.
    forgotten: u32,
}

/// Signals that have come.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    /// Those that end what runs.
    interrupts: u32,
    /// Whether one has come that ends everything.
    end: bool,
}

impl Interrupt {
    /// Starts to listen to SIGINT, SIGTERM and SIGHUP, in place of the default of dying. Call it once, inside a runtime.
    pub fn listen() -> Result<Interrupt> {
        let mut signals =
            [heard(SignalKind::interrupt())?, heard(SignalKind::terminate())?, heard(SignalKind::hangup())?];
        let (sender, came) = watch::channel(Came::default());
        tokio::spawn(async move {
            next_signal(&mut signals).await;
            let _ = sender.send(Came { interrupts: 1, end: true });
            next_signal(&mut signals).await;
            exit();
        });
        Ok(Interrupt { came, forgotten: 0 })
    }

    /// The same for a shell: every SIGINT is told of; the first SIGTERM or SIGHUP ends everything, the second one the
    /// process at once.
    pub fn listen_in_shell() -> Result<Interrupt> {
        let mut interrupts = [heard(SignalKind::interrupt())?];
        let mut ends = [heard(SignalKind::terminate())?, heard(SignalKind::hangup())?];
        let (sender, came) = watch::channel(Came::default());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = next_signal(&mut interrupts) => sender.send_modify(|came| came.interrupts += 1),
                    () = next_signal(&mut ends) => {
                        if sender.borrow().end {
                            exit();
                        }
                        sender.send_modify(|came| came.end = true);
                    }
                }
            }
        });
        Ok(Interrupt { came, forgotten: 0 })
    }

    /// Returns when a signal has come; at once if it came before and is not forgotten.
    pub async fn wait(&mut self) {
        let forgotten = self.forgotten;
        if self.came.wait_for(|came| came.end || came.interrupts > forgotten).await.is_err() {
            never().await;
        }
    }

    /// Returns when a signal has come that ends everything.
    pub async fn wait_for_end(&mut self) {
        if self.came.wait_for(|came| came.end).await.is_err() {
            never().await;
        }
    }

    /// Whether a signal has come that ends everything.
    pub fn has_ended(&self) -> bool {
        self.came.borrow().end
    }

    /// Forgets the interrupts that have come so far: they were meant for something else.
    pub fn forget(&mut self) {
        self.forgotten = self.came.borrow().interrupts;
    }

    /// What `work` gives, or a `Cancelled` error when the signal comes first; `work` is then dropped.
    pub async fn or_cancelled<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.wait() => Err(Error::cancelled()),
            result = work => result,
        }
    }
}

fn heard(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| Error::io(format!("cannot listen for signals: {error}")))
}

fn exit() -> ! {
    std::process::exit(i32::from(ErrorKind::Cancelled.exit_code()))
}

/// The listener is gone with its runtime; nothing will come any more.
async fn never() {
    std::future::pending::<()>().await;
}

async fn next_signal(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let came = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
