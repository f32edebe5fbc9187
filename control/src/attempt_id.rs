//! How attempt ids are made, and read back.
//!
//! ```text
//!   high 64 bits: mix(key(seed, job, epoch) + counter · golden)      a bijection of the counter: never twice in a job and epoch
//!   low  64 bits: (stage, task) xor mix(high xor key')               lets the job find the task without a map
//! ```
//!
//! An id that another job or epoch made decodes to noise here; whoever decodes compares the id with what the task holds.

use windrow_common::{AttemptId, Epoch, JobId};

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes and reads the attempt ids of one job in one epoch.
#[derive(Clone, Debug)]
pub(crate) struct AttemptMint {
    high_key: u64,
    low_key: u64,
    counter: u64,
}

impl AttemptMint {
    pub(crate) fn new(job: JobId, seed: u128, epoch: Epoch) -> Self {
        let words = [seed as u64, (seed >> 64) as u64, job.0 as u64, (job.0 >> 64) as u64, epoch.0];
        let absorb = |start: u64| words.iter().fold(start, |key, word| mix(key.wrapping_add(GOLDEN) ^ mix(*word)));
        Self { high_key: absorb(1), low_key: absorb(2), counter: 0 }
    }

    /// A new id for a run of this task.
    pub(crate) fn mint(&mut self, stage: u32, task: u32) -> AttemptId {
        self.counter += 1;
        let high = mix(self.high_key.wrapping_add(self.counter.wrapping_mul(GOLDEN)));
        let place = u64::from(stage) << 32 | u64::from(task);
        AttemptId(u128::from(high) << 64 | u128::from(place ^ mix(high ^ self.low_key)))
    }

    /// The stage and task for which the id was made; noise if it was not made here.
    pub(crate) fn place(&self, attempt: AttemptId) -> (u32, u32) {
        let place = attempt.0 as u64 ^ mix((attempt.0 >> 64) as u64 ^ self.low_key);
        ((place >> 32) as u32, place as u32)
    }
}

/// The finaliser of splitmix64: a bijection that scatters neighbours.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_between_tasks_jobs_epochs_and_equal_seeds() {
        let mut seen = BTreeSet::new();
        for job in 0..3 {
            for epoch in 0..3 {
                let mut mint = AttemptMint::new(JobId(job), 7, Epoch(epoch));
                for run in 0..1000 {
                    let id = mint.mint(run % 3, run / 3);
                    assert!(seen.insert(id));
                    assert_eq!(mint.place(id), (run % 3, run / 3));
                }
            }
        }
    }
}
