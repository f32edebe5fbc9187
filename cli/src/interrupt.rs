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
    /// The first of them.
    first: Option<Stop>,
}

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT: somebody at the terminal has pressed Ctrl-C.
    CtrlC,
    /// SIGTERM: this process is to end.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

impl Interrupt {
    /// Starts to listen to SIGINT, SIGTERM and SIGHUP, in place of the default of dying. Call it once, inside a runtime.
    pub fn listen() -> Result<Interrupt> {
        let mut signals = [heard(Stop::CtrlC)?, heard(Stop::Terminate)?, heard(Stop::HangUp)?];
        let (sender, came) = watch::channel(Came::default());
        tokio::spawn(async move {
            let first = next_signal(&mut signals).await;
            let _ = sender.send(Came { interrupts: 1, end: true, first: Some(first) });
            next_signal(&mut signals).await;
            exit();
        });
        Ok(Interrupt { came, forgotten: 0 })
    }

    /// The same for a shell: every SIGINT is told of; the first SIGTERM or SIGHUP ends everything, the second one the
    /// process at once.
    pub fn listen_in_shell() -> Result<Interrupt> {
        let mut interrupts = [heard(Stop::CtrlC)?];
        let mut ends = [heard(Stop::Terminate)?, heard(Stop::HangUp)?];
        let (sender, came) = watch::channel(Came::default());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = next_signal(&mut interrupts) => sender.send_modify(|came| came.interrupts += 1),
                    _ = next_signal(&mut ends) => {
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

    /// Whether it was Ctrl-C that ended everything, and not the end of the terminal or of the process.
    pub fn is_ctrl_c(&self) -> bool {
        self.came.borrow().first == Some(Stop::CtrlC)
    }

    /// Whether something has come that ends what runs.
    pub fn has_come(&self) -> bool {
        let came = self.came.borrow();
        came.end || came.interrupts > self.forgotten
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

fn heard(stop: Stop) -> Result<(Stop, Signal)> {
    let kind = match stop {
        Stop::CtrlC => SignalKind::interrupt(),
        Stop::Terminate => SignalKind::terminate(),
        Stop::HangUp => SignalKind::hangup(),
    };
    let heard = signal(kind).map_err(|error| Error::io(format!("cannot listen for signals: {error}")))?;
    Ok((stop, heard))
}

fn exit() -> ! {
    std::process::exit(i32::from(ErrorKind::Cancelled.exit_code()))
}

/// The listener is gone with its runtime; nothing will come any more.
async fn never() {
    std::future::pending::<()>().await;
}

async fn next_signal(signals: &mut [(Stop, Signal)]) -> Stop {
    std::future::poll_fn(|context| {
        let mut came =
            signals.iter_mut().filter_map(|(stop, signal)| signal.poll_recv(context).is_ready().then_some(*stop));
        came.next().map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}
