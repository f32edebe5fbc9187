//! Ctrl-C and its kin. The first signal asks everything to stop and clean up; a second one ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use windrow_common::{Error, ErrorKind, Result};

/// Tells of the first SIGINT, SIGTERM or SIGHUP. Clones tell of the same.
#[derive(Clone, Debug)]
pub struct Interrupt {
    set: watch::Receiver<bool>,
}

impl Interrupt {
    /// Starts to listen, in place of the default of dying. Call it once, inside a runtime.
    pub fn listen() -> Result<Interrupt> {
        let failed = |error| Error::io(format!("cannot listen for signals: {error}"));
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let mut signals = Vec::with_capacity(kinds.len());
        for kind in kinds {
            signals.push(signal(kind).map_err(failed)?);
        }
        let (sender, set) = watch::channel(false);
        tokio::spawn(async move {
            next_signal(&mut signals).await;
            let _ = sender.send(true);
            next_signal(&mut signals).await;
            std::process::exit(i32::from(ErrorKind::Cancelled.exit_code()));
        });
        Ok(Interrupt { set })
    }

    /// Returns when the signal has come; at once if it came before.
    pub async fn wait(&mut self) {
        if self.set.wait_for(|set| *set).await.is_err() {
            // The listener is gone with its runtime; nothing will come any more.
            std::future::pending::<()>().await;
        }
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

async fn next_signal(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let came = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
