//! How a server misbehaves: rules that a test adds, and faults at random from a seed.
//!
//! Rules are asked in the order in which they were added, each counts the requests that it matches, and all that are due
//! apply: one may delay what another one cuts.

mod chance;
mod rule;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use self::chance::Chance;
pub use self::rule::Rule;
use crate::seen::Seen;

/// What goes wrong with a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is answered so much later, rightly. With no time at all it is a rule that only counts.
    Delay(Duration),
    /// It is not carried out, and not answered until the faults are cleared; then it goes on.
    Stall,
    /// It is not carried out; the status is this. 503 is `SlowDown` with `Retry-After`, 500 `InternalError`.
    Status(u16),
    /// It is not carried out; the connection is reset.
    Reset,
    /// It is carried out; the status says that it was not.
    DoneButStatus(u16),
    /// It is carried out; the connection is reset before the answer.
    DoneButReset,
    /// It is not carried out; the status is 200 and the body is an error, as S3 does for copies and completions.
    ErrorWith200,
    /// The connection is closed after so many bytes of the body of the answer. An answer with no more than these is reset
    /// before its first byte.
    CutBody(usize),
    /// After so many bytes of the body nothing more comes, until the faults are cleared; then the connection is closed.
    StallBody(usize),
    /// Its conditions (`If-None-Match: *` and the like) are ignored, so that a second create succeeds.
    IgnoreConditions,
    /// Before it is carried out, the object becomes this, with the ETag that belongs to it.
    Replace(Bytes),
    /// Before it is carried out, the object is deleted.
    Vanish,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<(Rule, Hits)>,
    chance: Option<(Chance, Hits)>,
}

/// The faults of a server; clones are the same.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// How often the faults were cleared: what stalls waits for the next time.
    cleared: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults { state: Arc::default(), cleared: watch::Sender::new(0) }
    }
}

impl Faults {
    /// Adds a rule; what is returned tells how often it has struck.
    pub fn add(&self, rule: Rule) -> Hits {
        let hits = Hits::default();
        self.state.lock().unwrap().rules.push((rule, hits.clone()));
        hits
    }

    /// From now on this share of all requests (0.0 to 1.0) meets a fault of some kind: late, 500, 503, reset, cut short, or
    /// carried out with an answer that says otherwise. The same seed gives the same faults to the same order of requests.
    pub fn random(&self, seed: u64, rate: f64) -> Hits {
        self.random_of(seed, rate, &chance::usual())
    }

    /// The same with these faults only.
    pub fn random_of(&self, seed: u64, rate: f64, faults: &[Fault]) -> Hits {
        let hits = Hits::default();
        self.state.lock().unwrap().chance = Some((Chance::new(seed, rate, faults.to_vec()), hits.clone()));
        hits
    }

    /// No more faults; what stalls goes on.
    pub fn clear(&self) {
        *self.state.lock().unwrap() = State::default();
        self.cleared.send_modify(|times| *times += 1);
    }

    /// What goes wrong with this request.
    pub(crate) fn of(&self, seen: &Seen) -> Vec<Fault> {
        let mut state = self.state.lock().unwrap();
        let mut due = Vec::new();
        for (rule, hits) in &mut state.rules {
            if let Some(fault) = rule.strike(seen) {
                hits.add();
                due.push(fault);
            }
        }
        if let Some((chance, hits)) = &mut state.chance
            && let Some(fault) = chance.strike()
        {
            hits.add();
            due.push(fault);
        }
        due
    }

    /// What ends when the faults are cleared the next time.
    pub(crate) fn cleared(&self) -> watch::Receiver<u64> {
        let mut cleared = self.cleared.subscribe();
        cleared.mark_unchanged();
        cleared
    }
}

/// How often a rule has struck; clones count the same.
#[derive(Clone, Debug)]
pub struct Hits {
    count: Arc<watch::Sender<u64>>,
}

impl Default for Hits {
    fn default() -> Hits {
        Hits { count: Arc::new(watch::Sender::new(0)) }
    }
}

impl Hits {
    /// So often.
    pub fn count(&self) -> u64 {
        *self.count.borrow()
    }

    /// Returns when it has struck so often; the caller says how long that may take.
    pub async fn reached(&self, times: u64) {
        // The sender is in our hands, so that waiting cannot fail.
        let _ = self.count.subscribe().wait_for(|count| *count >= times).await;
    }

    fn add(&self) {
        self.count.send_modify(|count| *count += 1);
    }
}
