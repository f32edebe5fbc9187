//! The journal: what must outlast the coordinator. A record is durable before anybody is told of what it says.
//!
//! For now it is kept in memory behind the trait that a durable one will implement: a coordinator that dies takes its
//! jobs with it.

use std::sync::{Arc, Mutex, PoisonError};

use windrow_common::{Error, JobId, Principal, Result, StageGraph};

/// Whose a job is, and under which settings it was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOwner {
    /// Who runs it.
    pub principal: Principal,
    /// The settings of its session that are not the defaults, by name.
    pub settings: Vec<(String, String)>,
}

/// Something decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A job was accepted; its blobs are stored.
    Accepted {
        /// The job.
        job: JobId,
        /// Whose it is.
        owner: JobOwner,
        /// Its stages.
        graph: Arc<StageGraph>,
    },
    /// Somebody asked for the job to stop.
    CancelRequested {
        /// The job.
        job: JobId,
    },
    /// The job has ended.
    Ended {
        /// The job.
        job: JobId,
        /// The cause, unless it was completed.
        error: Option<Error>,
    },
}

/// Keeps records in order.
pub trait Journal: std::fmt::Debug + Send + Sync {
    /// Makes a record durable.
    fn append(&self, record: Record) -> Result<()>;
    /// All records, oldest first, without those of jobs that were forgotten.
    fn replay(&self) -> Result<Vec<Record>>;
    /// Nobody asks for this job any more.
    fn forget(&self, job: JobId) -> Result<()>;
}

/// A journal in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    records: Mutex<Vec<Record>>,
}

impl MemoryJournal {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn job(&self) -> JobId {
        match self {
            Record::Accepted { job, .. } | Record::CancelRequested { job } | Record::Ended { job, .. } => *job,
        }
    }
}

impl Journal for MemoryJournal {
    fn append(&self, record: Record) -> Result<()> {
        self.lock().push(record);
        Ok(())
    }

    fn replay(&self) -> Result<Vec<Record>> {
        Ok(self.lock().clone())
    }

    fn forget(&self, job: JobId) -> Result<()> {
        self.lock().retain(|record| record.job() != job);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_until_forgotten() {
        let journal = MemoryJournal::default();
        let (one, two) = (JobId(1), JobId(2));
        journal.append(Record::CancelRequested { job: one }).unwrap();
        journal.append(Record::Ended { job: two, error: None }).unwrap();
        journal.forget(one).unwrap();
        assert_eq!(journal.replay().unwrap(), vec![Record::Ended { job: two, error: None }]);
    }
}
