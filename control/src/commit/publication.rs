//! Publishing the files of a decided commit: a bounded number at once, each until it is there, each step safe to repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windrow_common::{Error, Timestamp, limits};

use super::event::{CommitAction, StagedFile, StepAnswer};

/// The pause after the given number of tries.
pub(super) fn backoff(tries: u32) -> Duration {
    (limits::COMMIT_BACKOFF * (1 << tries.saturating_sub(1).min(16))).min(limits::RETRY_BACKOFF_MAX)
}

/// Which files are there, under way, or waiting.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    files: Vec<StagedFile>,
    /// The first file that was never asked for.
    next: usize,
    under_way: BTreeSet<usize>,
    /// Files to be tried again, and when.
    again: BTreeSet<(Timestamp, usize)>,
    tries: BTreeMap<usize, u32>,
    done: usize,
}

impl Publication {
    pub(super) fn new(files: Vec<StagedFile>) -> Self {
        Self { files, next: 0, under_way: BTreeSet::new(), again: BTreeSet::new(), tries: BTreeMap::new(), done: 0 }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.done == self.files.len()
    }

    pub(super) fn take_files(&mut self) -> Vec<StagedFile> {
        std::mem::take(&mut self.files)
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let full = self.under_way.len() >= limits::COMMIT_CONCURRENCY;
        self.again.first().map(|(at, _)| *at).filter(|_| !full)
    }

    /// The files to publish now.
    pub(super) fn start_due(&mut self, now: Timestamp) -> Vec<CommitAction> {
        let mut actions = Vec::new();
        while self.under_way.len() < limits::COMMIT_CONCURRENCY {
            let index = match self.again.first().copied() {
                Some((at, index)) if at <= now => {
                    self.again.pop_first();
                    index
                }
                Some(_) | None if self.next < self.files.len() => {
                    self.next += 1;
                    self.next - 1
                }
                Some(_) | None => break,
            };
            self.under_way.insert(index);
            actions.push(CommitAction::Publish { index, file: self.files[index].clone() });
        }
        actions
    }

    /// Takes in an answer. An error means that the file cannot be published by trying again.
    pub(super) fn answered(&mut self, now: Timestamp, index: usize, answer: StepAnswer) -> Option<Error> {
        if !self.under_way.remove(&index) {
            return None;
        }
        match answer {
            StepAnswer::Done | StepAnswer::AlreadyDone => {
                self.tries.remove(&index);
                self.done += 1;
                None
            }
            StepAnswer::Failed(error) => {
                let tries = self.tries.entry(index).or_default();
                *tries += 1;
                if *tries >= limits::MAX_COMMIT_TRIES || !error.kind.is_retryable() {
                    return Some(error.context(&self.files[index].path));
                }
                self.again.insert((now + backoff(*tries), index));
                None
            }
        }
    }
}
