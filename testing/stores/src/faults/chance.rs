//! Faults at random, from a seed.

use std::time::Duration;

use super::Fault;

/// A sequence of faults, the same for the same seed.
#[derive(Clone, Debug)]
pub(super) struct Chance {
    state: u64,
    rate: f64,
    faults: Vec<Fault>,
}

/// What goes wrong with stores that are not broken.
pub(super) fn usual() -> Vec<Fault> {
    vec![
        Fault::Delay(Duration::from_millis(20)),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Reset,
        Fault::CutBody(1000),
        Fault::DoneButStatus(500),
        Fault::DoneButReset,
    ]
}

impl Chance {
    pub(super) fn new(seed: u64, rate: f64, faults: Vec<Fault>) -> Chance {
        Chance { state: seed, rate, faults }
    }

    /// What happens to the next request.
    pub(super) fn strike(&mut self) -> Option<Fault> {
        let dice = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let which = self.next();
        let index = usize::try_from(which % self.faults.len().max(1) as u64).unwrap_or(0);
        (dice < self.rate).then(|| self.faults.get(index).cloned()).flatten()
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_at_the_rate_that_was_asked_for() {
        let run = |seed| {
            let mut chance = Chance::new(seed, 0.1, usual());
            (0..10_000).map(|_| chance.strike()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let struck: Vec<Fault> = run(7).into_iter().flatten().collect();
        assert!((900..1100).contains(&struck.len()), "{} of 10,000", struck.len());
        assert!(usual().iter().all(|fault| struck.contains(fault)));
        let mut never = Chance::new(7, 0.0, usual());
        assert!((0..1000).all(|_| never.strike().is_none()));
    }
}
