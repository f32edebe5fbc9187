//! How clients' own reading of outputs stands: who reads, what was read to its end, and the news of it that wait to be
//! told to the coordinator. News are states and not changes: the latest counts, and none is lost by being told late.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use windrow_common::protocol::DirectReads;
use windrow_common::{AttemptId, Error, ErrorKind, JobId, limits};

/// The reading of one output. Lives as long as the output.
#[derive(Debug)]
pub(crate) struct OutputReads {
    job: JobId,
    attempt: AttemptId,
    state: Mutex<DirectReads>,
}

/// What the coordinator has not been told yet. Clones share it. At most one entry for each output that was ever read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadNews {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    untold: Mutex<BTreeMap<AttemptId, (JobId, DirectReads)>>,
    changed: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OutputReads {
    /// Nobody has read it yet.
    pub(crate) fn new(job: JobId, attempt: AttemptId) -> Arc<Self> {
        Arc::new(Self { job, attempt, state: Mutex::default() })
    }

    /// Whose output it is.
    pub(crate) fn job(&self) -> JobId {
        self.job
    }

    /// Begins a read. What was read to its end is not read again, and only a few may read at once: their queues are paid
    /// from a budget that is the whole worker's.
    pub(crate) fn begin(self: &Arc<Self>, news: &ReadNews) -> Result<Reading, Error> {
        let mut state = lock(&self.state);
        if state.complete {
            let text = "this part of the answer was fetched, and a ticket is good for one fetch to its end";
            return Err(Error::new(ErrorKind::NotFound, text));
        }
        if state.running >= limits::DIRECT_READS_PER_PART {
            let text = format!(
                "{} readers fetch this part of the answer already, which is the limit (DIRECT_READS_PER_PART)",
                state.running
            );
            return Err(Error::new(ErrorKind::Limit, text));
        }
        state.running += 1;
        news.add(self, *state);
        Ok(Reading { reads: Arc::clone(self), news: news.clone() })
    }

    /// Tells how it stands once more, if there is anything to tell.
    pub(crate) fn tell_again(&self, news: &ReadNews) {
        let state = lock(&self.state);
        if *state != DirectReads::default() {
            news.add(self, *state);
        }
    }

    fn change(&self, news: &ReadNews, change: impl FnOnce(&mut DirectReads)) {
        // Held while the news is put down: the last to change is the last to tell.
        let mut state = lock(&self.state);
        change(&mut state);
        news.add(self, *state);
    }
}

impl ReadNews {
    fn add(&self, reads: &OutputReads, state: DirectReads) {
        lock(&self.inner.untold).insert(reads.attempt, (reads.job, state));
        self.inner.changed.notify_one();
    }

    /// Waits for news and takes `most` of them. Nothing is lost if it is not waited for; the others are there the next time.
    pub(crate) async fn next(&self, most: usize) -> BTreeMap<AttemptId, (JobId, DirectReads)> {
        loop {
            let news = {
                let mut untold = lock(&self.inner.untold);
                let left = untold.keys().nth(most).copied();
                let left = left.map(|first| untold.split_off(&first)).unwrap_or_default();
                std::mem::replace(&mut *untold, left)
            };
            if !news.is_empty() {
                return news;
            }
            self.inner.changed.notified().await;
        }
    }
}

/// A read under way. Dropped before it is complete, it has broken off and may be tried again.
#[derive(Debug)]
pub(crate) struct Reading {
    reads: Arc<OutputReads>,
    news: ReadNews,
}

impl Reading {
    /// The client has everything.
    pub(crate) fn complete(&self) {
        self.reads.change(&self.news, |state| state.complete = true);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.reads.change(&self.news, |state| state.running -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_news_are_told_in_turns() {
        let news = ReadNews::default();
        let readings: Vec<_> = (0..5).map(|n| OutputReads::new(JobId(1), AttemptId(n)).begin(&news).unwrap()).collect();
        let mut told = vec![];
        for count in [2, 2, 1] {
            let turn = news.next(2).await;
            assert_eq!(turn.len(), count);
            told.extend(turn.into_keys());
        }
        assert_eq!(told, (0..5).map(AttemptId).collect::<Vec<_>>());
        drop(readings);
    }

    #[test]
    fn only_a_few_read_one_output_at_once() {
        let (news, reads) = (ReadNews::default(), OutputReads::new(JobId(1), AttemptId(2)));
        let mut readers: Vec<_> = (0..limits::DIRECT_READS_PER_PART).map(|_| reads.begin(&news).unwrap()).collect();
        assert_eq!(reads.begin(&news).unwrap_err().kind, ErrorKind::Limit);
        readers.pop();
        reads.begin(&news).unwrap();
    }

    #[tokio::test]
    async fn a_read_breaks_off_is_tried_again_and_is_complete_once() {
        let (news, reads) = (ReadNews::default(), OutputReads::new(JobId(1), AttemptId(2)));
        let told =
            async || news.next(1).await.get(&AttemptId(2)).map(|(job, state)| (job.0, state.running, state.complete));
        let (one, two) = (reads.begin(&news).unwrap(), reads.begin(&news).unwrap());
        assert_eq!(told().await, Some((1, 2, false)));
        drop(one);
        assert_eq!(told().await, Some((1, 1, false)));
        two.complete();
        drop(two);
        assert_eq!(told().await, Some((1, 0, true)));
        assert_eq!(reads.begin(&news).unwrap_err().kind, ErrorKind::NotFound);
        reads.tell_again(&news);
        assert_eq!(told().await, Some((1, 0, true)));
        OutputReads::new(JobId(1), AttemptId(3)).tell_again(&news);
        assert!(lock(&news.inner.untold).is_empty());
    }
}
